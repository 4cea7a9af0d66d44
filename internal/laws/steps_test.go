//go:build !mutants

package laws

import (
	"testing"
)

// The same with runs in steps: executions that die and are begun again, two at once,
// zombies, steps that come twice, an engine in another process.
func TestRunsInStepsAnswerAsTheOracle(t *testing.T) {
	t.Parallel()
	const histories = 40
	inHalves(t, histories, func(t *testing.T, seed uint64) Outcome {
		c := SeededLayers(seed)
		o, err := PlaySteps(c, t.TempDir())
		if err != nil {
			t.Fatalf("seed %d: %v, made small:\n%s", seed, err, ExplainSteps(c, o.Script))
		}
		return o
	}, func(sum Outcome) bool { return sum.Answers < 3*histories || sum.Published < histories })
}
