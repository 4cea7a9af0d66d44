//go:build !mutants

package laws

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// The same with runs in steps: executions that die and are begun again, two at once,
// zombies, steps that come twice, an engine in another process.
func TestRunsInStepsAnswerAsTheOracle(t *testing.T) {
	t.Parallel()
	const halves, histories = 2, 40
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
			for i := range uint64(histories) {
				if failed.Load() {
					t.Fatal("the other half has failed")
				}
				seed := half*histories + i
				c := SeededLayers(seed)
				o, err := PlaySteps(c, t.TempDir())
				if err != nil {
					t.Fatalf("seed %d: %v, made small:\n%s", seed, err, ExplainSteps(c, o.Script))
				}
				sum.Add(o)
			}
			t.Logf("%d answers, %d refused, %d versions", sum.Answers, sum.Refused, sum.Published)
			if sum.Answers < 3*histories || sum.Published < histories {
				t.Fatalf("the histories check too little: %+v", sum)
			}
		})
	}
}
