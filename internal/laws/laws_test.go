package laws

import (
	"fmt"
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

// The same with the real layers: row logic, duplicates, archive, DuckDB, double
// entry and repair, serving; with a master dataset that loses, doubles and
// delays files, strays, aggregates and bad events.
func TestTheRealLayersAnswerAsTheOracle(t *testing.T) {
	t.Parallel()
	const halves, histories = 2, 150
	for half := range uint64(halves) {
		t.Run(fmt.Sprint(half), func(t *testing.T) {
			t.Parallel()
			var sum Outcome
			for i := range uint64(histories) {
				sum.Add(playLayers(t, half*histories+i))
			}
			t.Logf("%d answers, %d refused, %d versions", sum.Answers, sum.Refused, sum.Published)
			if sum.Answers < 3*histories || sum.Published < histories {
				t.Fatalf("the histories check too little: %+v", sum)
			}
		})
	}
}

// playLayers plays the history of a seed; one that fails is told step by step.
func playLayers(t *testing.T, seed uint64) Outcome {
	t.Helper()
	c := Seeded(seed)
	c.Events *= 2
	o, err := PlayLayers(c, t.TempDir())
	if err != nil {
		var b strings.Builder
		c.Trace = func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
		_, _ = PlayLayers(c, t.TempDir())
		t.Fatalf("seed %d: %v\n%s", seed, err, b.String())
	}
	return o
}
