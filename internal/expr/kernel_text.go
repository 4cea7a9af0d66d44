package expr

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// mapTextKernel is lower, upper and trim.
func mapTextKernel(name string, arg kernel) kernel {
	f := map[string]func(string) string{"lower": strings.ToLower, "upper": strings.ToUpper, "trim": strings.TrimSpace}[name]
	return func(b *batch) values {
		a := arg(b)
		out := values{state: a.state, texts: b.texts.take(b.n)}
		for i, s := range a.texts {
			out.texts[i] = f(s)
		}
		return out
	}
}

func sizeKernel(arg kernel) kernel {
	return func(b *batch) values {
		a := arg(b)
		out := values{state: a.state, ints: b.ints.take(b.n)}
		for i, s := range a.texts {
			out.ints[i] = int64(utf8.RuneCountInString(s))
		}
		return out
	}
}

func substrKernel(text, from, length kernel) kernel {
	return func(b *batch) values {
		s, f, l := text(b), from(b), length(b)
		out := values{state: b.strict(s, f, l), texts: b.texts.take(b.n)}
		for i := range out.texts {
			out.texts[i] = substr(s.texts[i], f.ints[i], l.ints[i])
		}
		return out
	}
}

// substr gives length code points of s from the one at from on. Negative
// arguments count as 0, and the end of s ends the result.
func substr(s string, from, length int64) string {
	if length <= 0 {
		return ""
	}
	start := skipCodePoints(s, from)
	return s[start : start+skipCodePoints(s[start:], length)]
}

// skipCodePoints gives the byte offset after n code points, at most len(s).
func skipCodePoints(s string, n int64) int {
	at := 0
	for ; n > 0 && at < len(s); n-- {
		if s[at] < utf8.RuneSelf {
			at++
			continue
		}
		_, width := utf8.DecodeRuneInString(s[at:])
		at += width
	}
	return at
}

// searchKernel is contains, startsWith and endsWith.
func searchKernel(name string, text, part kernel) kernel {
	f := map[string]func(s, part string) bool{"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix}[name]
	return func(b *batch) values {
		s, p := text(b), part(b)
		out := values{state: b.strict(s, p), ints: b.ints.take(b.n)}
		for i := range out.ints {
			out.ints[i] = bit(f(s.texts[i], p.texts[i]))
		}
		return out
	}
}

func matchesKernel(pattern *regexp.Regexp, text kernel) kernel {
	return func(b *batch) values {
		s := text(b)
		out := values{state: s.state, ints: b.ints.take(b.n)}
		for i, v := range s.texts {
			out.ints[i] = bit(pattern.MatchString(v))
		}
		return out
	}
}

func concatKernel(tooLong uint16, left, right kernel) kernel {
	return func(b *batch) values {
		l, r := left(b), right(b)
		m := marks{b: b, state: b.strict(l, r)}
		out := b.texts.take(b.n)
		for i := range out {
			out[i] = ""
			switch {
			case m.skip(i):
			case len(l.texts[i])+len(r.texts[i]) > maxText:
				m.fail(i, tooLong)
			default:
				out[i] = l.texts[i] + r.texts[i]
			}
		}
		return values{state: m.state, texts: out}
	}
}

// replaceKernel replaces every occurrence. An empty old text occurs nowhere.
func replaceKernel(tooLong uint16, text, old, with kernel) kernel {
	return func(b *batch) values {
		s, o, w := text(b), old(b), with(b)
		m := marks{b: b, state: b.strict(s, o, w)}
		out := b.texts.take(b.n)
		for i := range out {
			out[i] = ""
			if m.skip(i) {
				continue
			}
			if o.texts[i] == "" {
				out[i] = s.texts[i]
				continue
			}
			if !fitsReplaced(s.texts[i], o.texts[i], w.texts[i]) {
				m.fail(i, tooLong)
				continue
			}
			out[i] = strings.ReplaceAll(s.texts[i], o.texts[i], w.texts[i])
		}
		return values{state: m.state, texts: out}
	}
}

// fitsReplaced tells whether the result of a replacement is short enough,
// without making it.
func fitsReplaced(s, old, with string) bool {
	if len(with) <= len(old) {
		return true
	}
	return len(s)+strings.Count(s, old)*(len(with)-len(old)) <= maxText
}
