package definition

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// syntaxErrors puts the YAML parser's words into a user's.
var syntaxErrors = []struct{ parser, message, remedy string }{
	{"cannot start any token", "a value cannot begin with this character", "put the value in double quotes"},
	{"mapping values are not allowed", "a second `:` stands in one line, or the line is indented too far", "put a text that holds `: ` in double quotes, and indent keys of one mapping alike"},
	{"expected ',' or", "a [ or { does not end well", "close it, and put a value that holds a comma, a quote or a bracket in quotes"},
	{"end of stream", "a quote is not closed", "close it at the end of the text"},
	{"expected '-'", "this line belongs to no entry of the list above it", "indent it as the entry's other keys, or begin it with `- `"},
	{"expected key", "this line does not fit the mapping above it", "indent keys of one mapping alike, and write each as `key: value`"},
	{"expected ':'", "this line is no `key: value`", "write the colon and the value"},
	{"unknown escape", "double quotes hold an unknown escape", "write \\\\ for a backslash, or use single quotes"},
	{"unknown anchor", "YAML aliases are not allowed", "put a text that begins with * in double quotes"},
	{"exceeded max depth", "the text is nested too deeply", "a definition has at most six levels"},
}

// reportSyntax reports where and why the text is no YAML. The parser's error
// has no column and often the wrong line, so the place is found by how far the
// parser read.
func (s *source) reportSyntax(text []byte, err error) {
	for number, line := range s.lines {
		if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") && strings.TrimSpace(line) != "" {
			s.report(number+1, strings.IndexByte(indent, '\t')+1, "a tab indents this line", "indent with spaces")
			return
		}
	}
	message, remedy := "this is no YAML: "+strings.TrimPrefix(err.Error(), "yaml: "), "see docs/definition.md for a complete example"
	for _, e := range syntaxErrors {
		if strings.Contains(err.Error(), e.parser) {
			message, remedy = e.message, e.remedy
			break
		}
	}
	line, col := s.failure(text)
	for number := 1; number <= line; number++ {
		if slip, found := strayQuote(s.line(number)); found {
			s.report(number, slip.col, slip.message, slip.remedy)
			return
		}
	}
	if strings.Contains(err.Error(), "expected ',' or") {
		line, col = s.openBracket(min(line, contextLine(err)), line, col)
	}
	if _, name, found := strings.Cut(err.Error(), "unknown anchor '"); found {
		line, col = s.find("*"+strings.TrimSuffix(name, "' referenced"), line, col)
	}
	s.report(line, col, message, remedy)
}

// withoutComment cuts a line before ` #`. Inside quotes that is no comment, but
// then the cut costs no more than a worse place in a message.
func withoutComment(line []rune) []rune {
	for i, r := range line {
		if r == '#' && (i == 0 || line[i-1] == ' ') {
			return line[:i]
		}
	}
	return line
}

// find gives the first place of a text, else the given one.
func (s *source) find(text string, line, col int) (int, int) {
	for number, content := range s.lines {
		if before, _, found := strings.Cut(content, text); found {
			return number + 1, utf8.RuneCountInString(before) + 1
		}
	}
	return line, col
}

// contextLine gives the line on which the part began that the parser could not
// end: its message counts from 0 there, and leaves 0 out.
func contextLine(err error) int {
	line := 0
	_, _ = fmt.Sscanf(err.Error(), "yaml: line %d:", &line)
	return line + 1
}

// openBracket gives the place of the innermost [ or { that is open before a
// place; the first one on the context's line if all are closed, else that place.
// It looks over quoted values and comments.
func (s *source) openBracket(context, line, col int) (int, int) {
	type place struct{ line, col int }
	var open []place
	for number := 1; number <= line; number++ {
		quote, last := rune(0), ':' // the quote that is open, the last character before blanks
		for i, r := range withoutComment(s.line(number)) {
			switch {
			case quote != 0:
				if r == quote {
					quote = 0
				}
			case (r == '"' || r == '\'') && strings.ContainsRune(":,[{-", last):
				quote = r
			case r == '[' || r == '{':
				open = append(open, place{number, i + 1})
			case (r == ']' || r == '}') && len(open) > 0:
				open = open[:len(open)-1]
			}
			if r != ' ' {
				last = r
			}
		}
	}
	if len(open) == 0 {
		if at := strings.IndexAny(string(s.line(context)), "[{"); at >= 0 {
			return context, utf8.RuneCountInString(string(s.line(context))[:at]) + 1
		}
		return line, col
	}
	return open[len(open)-1].line, open[len(open)-1].col
}

// failure gives the place where the YAML parser gave up: it reads ahead by four
// characters.
func (s *source) failure(text []byte) (line, col int) {
	const ahead = 4
	r := &meteredReader{text: append(bytes.Clone(text), "\n\n\n\n\n"...)}
	decoder := yaml.NewDecoder(r)
	for range 2 { // one document, then whether there is a second
		if err := decoder.Decode(new(yaml.Node)); err != nil {
			break
		}
	}
	read := r.text[:min(r.read, len(text)+ahead)]
	for range ahead {
		_, size := utf8.DecodeLastRune(read)
		read = read[:len(read)-size]
	}
	if r.read == len(r.text) { // the whole text: the last line that says something
		read = bytes.TrimRightFunc(read, unicode.IsSpace)
	}
	before := splitLines(string(read))
	line, col = len(before), utf8.RuneCountInString(before[len(before)-1])+1
	if width := len(s.line(line)); col > width {
		col = max(width, 1)
	}
	return line, col
}

// meteredReader gives one byte at a time and counts them.
type meteredReader struct {
	text []byte
	read int
}

func (r *meteredReader) Read(p []byte) (int, error) {
	if r.read == len(r.text) {
		return 0, io.EOF
	}
	p[0] = r.text[r.read]
	r.read++
	return 1, nil
}

// slip is a mistake in one line.
type slip struct {
	col             int // from 1
	message, remedy string
}

// strayQuote finds the commonest slip, of which the parser says something else
// far below: a value that begins with a quote and goes on after its end, or does
// not end on its line.
func strayQuote(line []rune) (slip, bool) {
	start := valueStart(line)
	if start >= len(line) || (line[start] != '"' && line[start] != '\'') {
		return slip{}, false
	}
	quote := line[start]
	for i := start + 1; i < len(line); i++ {
		switch {
		case line[i] == '\\' && quote == '"':
			i++
		case line[i] == quote && quote == '\'' && i+1 < len(line) && line[i+1] == quote:
			i++
		case line[i] == quote:
			rest := strings.TrimLeft(string(line[i+1:]), " \t")
			if rest == "" || strings.ContainsRune("#,]}:", rune(rest[0])) {
				return slip{}, false
			}
			return slip{i + 2, "text follows the quoted value", "put the whole value in one pair of quotes: in single quotes if it holds double ones"}, true
		}
	}
	return slip{start + 1, "a quote is not closed on this line", "close it at the end of the text"}, true
}

// valueStart skips indentation, `- ` and `key: `.
func valueStart(line []rune) int {
	i := 0
	for i < len(line) && (line[i] == ' ' || line[i] == '-') {
		i++
	}
	start := i
	for i < len(line) && (unicode.IsLetter(line[i]) || unicode.IsDigit(line[i]) || line[i] == '_') {
		i++
	}
	if i == start || i+1 >= len(line) || line[i] != ':' || line[i+1] != ' ' {
		return start
	}
	i++
	for i < len(line) && line[i] == ' ' {
		i++
	}
	return i
}
