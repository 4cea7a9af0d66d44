package laws

import (
	"fmt"
	"testing"
)

func TestEveryAnswerIsTheOracleOverWhatIsCommitted(t *testing.T) {
	t.Parallel()
	var sum Outcome
	for seed := range uint64(3000) {
		c := Config{Seed: seed, Events: 2 + int(seed)%6, Faults: int(seed) / 6 % 4}
		o, err := Play(c)
		if err != nil {
			var trace []string
			c.Trace = func(format string, args ...any) { trace = append(trace, fmt.Sprintf(format, args...)) }
			_, again := Play(c)
			for _, line := range trace {
				t.Log(line)
			}
			t.Fatalf("seed %d: %v (again: %v)", seed, err, again)
		}
		sum.Answers += o.Answers
		sum.Refused += o.Refused
		sum.Published += o.Published
	}
	t.Logf("%+v", sum)
	if sum.Answers < 3000 || sum.Published < 1000 {
		t.Fatalf("the histories check too little: %+v", sum)
	}
}
