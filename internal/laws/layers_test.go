//go:build !mutants

package laws

import (
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// The same with the real layers: row logic, duplicates, archive, DuckDB, double
// entry and repair, serving; with a master dataset that loses, doubles and
// delays files, strays, aggregates and bad events.
func TestTheRealLayersAnswerAsTheOracle(t *testing.T) {
	t.Parallel()
	const histories = 150
	inHalves(t, histories, playLayers, func(sum Outcome) bool {
		return sum.Answers < 3*histories || sum.Published < histories || sum.Compared < histories/2
	})
}

// inHalves plays twice so many histories, in two halves side by side of which one
// stops when the other fails, and fails if a half checked too little.
func inHalves(t *testing.T, histories uint64, play func(t *testing.T, seed uint64) Outcome, tooLittle func(sum Outcome) bool) {
	const halves = 2
	var failed atomic.Bool
	for half := range uint64(halves) {
		t.Run(fmt.Sprint(half), func(t *testing.T) {
			t.Parallel()
			defer func() {
				if t.Failed() {
					failed.Store(true)
				}
			}()
			var sum Outcome
			for i := range histories {
				if failed.Load() {
					t.Fatal("the other half has failed")
				}
				sum.Add(play(t, half*histories+i))
			}
			t.Logf("%d answers, %d refused, %d versions, %d incremental computations", sum.Answers, sum.Refused, sum.Published, sum.Compared)
			if tooLittle(sum) {
				t.Fatalf("the histories check too little: %+v", sum)
			}
		})
	}
}

// A history of the real layers is what its decisions make of it, too: without
// this, one that fails could be neither made small nor played again.
func TestAScriptPlaysAHistoryOfTheRealLayersAgain(t *testing.T) {
	t.Parallel()
	random := regexp.MustCompile(`[A-Z2-7]{26}`) // in names of runs and versions
	tell := func(c Config) (string, Script) {
		var b strings.Builder
		c.Trace = func(format string, args ...any) {
			b.WriteString(format)
			b.WriteString(random.ReplaceAllString(fmt.Sprintln(args...), "*"))
		}
		o, err := PlayLayers(c, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return b.String(), o.Script
	}
	for seed := range uint64(6) {
		c := SeededLayers(seed)
		first, script := tell(c)
		c.Seed, c.Script = 99, script
		again, _ := tell(c)
		lines := strings.Split(again, "\n")
		for i, line := range strings.Split(first, "\n") {
			if i >= len(lines) || lines[i] != line {
				t.Fatalf("seed %d played again from its script is another history from step %d, %q, on", seed, i, line)
			}
		}
	}
}

// playLayers plays the history of a seed; one that fails is made small and told.
func playLayers(t *testing.T, seed uint64) Outcome {
	t.Helper()
	c := SeededLayers(seed)
	o, err := PlayLayers(c, t.TempDir())
	if err != nil {
		t.Fatalf("seed %d: %v, made small:\n%s", seed, err, ExplainLayers(c, o.Script))
	}
	return o
}
