package laws

import (
	"strings"
	"testing"
)

func TestEveryAnswerIsTheOracleOverWhatIsCommitted(t *testing.T) {
	t.Parallel()
	var sum Outcome
	for seed := range uint64(3000) {
		c := Seeded(seed)
		o, err := Play(c)
		if err != nil {
			t.Fatalf("seed %d: %v, made small:\n%s", seed, err, Explain(c, o.Script))
		}
		sum.Add(o)
	}
	t.Logf("%d answers, %d refused, %d versions", sum.Answers, sum.Refused, sum.Published)
	if sum.Answers < 3000 || sum.Published < 1000 {
		t.Fatalf("the histories check too little: %+v", sum)
	}
}

// A history is what its decisions make of it.
func TestAScriptPlaysAHistoryAgain(t *testing.T) {
	t.Parallel()
	tell := func(c Config) (string, Script) {
		var b strings.Builder
		c.Trace = func(format string, args ...any) {
			b.WriteString(format)
			_, _ = b.WriteString(strings.Repeat(".", len(args)))
		}
		o, err := Play(c)
		if err != nil {
			t.Fatal(err)
		}
		return b.String(), o.Script
	}
	for seed := range uint64(20) {
		c := Seeded(seed)
		first, script := tell(c)
		script, err := ParseScript(script.String())
		if err != nil {
			t.Fatal(err)
		}
		c.Seed, c.Script = 99, script
		if again, _ := tell(c); again != first {
			t.Fatalf("seed %d played again from its script is another history", seed)
		}
	}
}
