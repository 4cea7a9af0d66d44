package laws

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// choices is the source of every decision in a history. It remembers them, so
// that a history is what it was made of, and can be played again, or made
// smaller: 0 is always the dullest decision.
type choices struct {
	script []uint32 // decisions to repeat; behind them every decision is 0
	made   []uint32
	random *rand.Rand // nil: there is a script
}

func newChoices(seed uint64, script []uint32) *choices {
	if script != nil {
		return &choices{script: script}
	}
	return &choices{random: rand.New(rand.NewPCG(seed, 1))}
}

// IntN decides for a number in [0, n).
func (c *choices) IntN(n int) int {
	x := uint32(0)
	if i := len(c.made); i < len(c.script) {
		x = c.script[i] % uint32(n)
	} else if c.random != nil {
		x = uint32(c.random.IntN(n))
	}
	c.made = append(c.made, x)
	return int(x)
}

// over reports whether the script is: then somebody else has to be fair.
func (c *choices) over() bool { return c.random == nil && len(c.made) >= len(c.script) }

// Script is a history's decisions.
type Script []uint32

// String gives a script as one word, for a command line; "-" is the empty one.
func (s Script) String() string {
	if len(s) == 0 {
		return "-"
	}
	var b []byte
	for _, x := range s {
		b = binary.AppendUvarint(b, uint64(x))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseScript is the inverse of String.
func ParseScript(text string) (Script, error) {
	if text == "-" {
		return Script{}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("reading the script: %w", err)
	}
	s := Script{}
	for len(b) > 0 {
		x, n := binary.Uvarint(b)
		if n <= 0 || x > 1<<31 {
			return nil, fmt.Errorf("reading the script: it is damaged")
		}
		s, b = append(s, uint32(x)), b[n:]
	}
	return s, nil
}

// Player plays one history, as Play does.
type Player func(Config) (Outcome, error)

// Shrink makes the script of a failing history smaller for as long as it still
// fails: it leaves out pieces, and makes decisions duller. It plays at most so
// many histories.
func Shrink(play Player, c Config, script Script, plays int) Script {
	fails := func(s Script) (Script, bool) {
		if plays--; plays < 0 {
			return nil, false
		}
		c.Script = s
		out, err := play(c)
		return out.Script[:min(len(s), len(out.Script))], errors.Is(err, errBroken)
	}
	for again := true; again && plays > 0; {
		again = false
		for size := max(len(script)/2, 1); size > 0 && plays > 0; size /= 2 {
			for i := 0; i+size <= len(script); {
				without := append(append(Script{}, script[:i]...), script[i+size:]...)
				if s, ok := fails(without); ok {
					script, again = s, true
				} else {
					i += size
				}
			}
		}
		for i := 0; i < len(script) && plays > 0; i++ {
			if script[i] == 0 {
				continue
			}
			duller := append(Script(nil), script...)
			duller[i] = 0
			if s, ok := fails(duller); ok {
				script, again = s, true
			}
		}
	}
	return script
}

// Explain makes a failing history small and tells it, step by step, with the
// command that plays it again.
func Explain(c Config, script Script) string {
	return explain(Play, c, script, shrinkPlays, "")
}

func explain(play Player, c Config, script Script, plays int, flags string) string {
	c.Script = Shrink(play, c, script, plays)
	var b strings.Builder
	c.Trace = func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	_, err := play(c)
	fmt.Fprintf(&b, "%v\nplay it again: go run ./internal/laws/play %s-events %d -faults %d -script %s\n", err, flags, c.Events, c.Faults, c.Script)
	return b.String()
}
