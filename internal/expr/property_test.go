package expr

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
)

// kinds are the kinds of generated expressions.
var kinds = []column.Kind{column.String, column.Int, column.Decimal, column.Bool, column.Date, column.Timestamp, column.Float}

func zones(t testing.TB) []*time.Location {
	t.Helper()
	out := []*time.Location{time.UTC}
	for _, name := range []string{"Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatalf("loading zone: %v", err)
		}
		out = append(out, zone)
	}
	return out
}

// A difference between the evaluators is an answer of the pipeline that
// verify calls wrong.
func TestBothEvaluatorsAgreeOnGeneratedExpressions(t *testing.T) {
	t.Parallel()
	const expressions, rows = 4000, 12
	g := generator{rand.New(rand.NewPCG(1, 2))}
	zones := zones(t)
	var compiled, constants, failures, nulls int
	for range expressions {
		text := g.of(kinds[g.IntN(len(kinds))], 1+g.IntN(4))
		e, err := Compile(text, testColumns, zones[g.IntN(len(zones))])
		if err != nil {
			constants += mustBeKnownError(t, text, err)
			continue
		}
		compiled++
		f, n := compareEvaluators(t, e, g.batch(rows), rows)
		failures, nulls = failures+f, nulls+n
	}
	t.Logf("%d compiled, %d refused, %d rows failed, %d null", compiled, constants, failures, nulls)
	if compiled < expressions*3/4 || failures < 500 || nulls < 500 {
		t.Errorf("the generator hits too little: %d compiled, %d failures, %d nulls", compiled, failures, nulls)
	}
}

// mustBeKnownError accepts the errors of well-typed expressions.
func mustBeKnownError(t *testing.T, text string, err error) int {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: %v is no *Error", text, err)
	}
	for _, known := range []string{" in ", "digits after the point; a decimal has at most"} {
		if strings.Contains(e.Message, known) {
			return 1
		}
	}
	t.Errorf("%s: unexpected error at %d: %s (%s)", text, e.Offset, e.Message, e.Remedy)
	return 0
}

// compareEvaluators runs both evaluators over a batch.
func compareEvaluators(t testing.TB, e *Expr, batch map[string]*column.Vector, rows int) (failures, nulls int) {
	t.Helper()
	result, failed := e.Eval(func(name string) *column.Vector { return batch[name] }, rows)
	if result.Type != e.Type || result.Len() != rows {
		t.Fatalf("%s: result is %s with %d rows, not %s with %d", e.Text, result.Type, result.Len(), e.Type, rows)
	}
	for i := range rows {
		get := func(name string) column.Value { return batch[name].At(i) }
		want, err := e.EvalCEL(get)
		reason, bad := failed[i]
		got := result.At(i)
		if bad != (err != nil) || bad && err.Error() != reason || !same(got, want) {
			t.Errorf("%s over %v: Eval gives %v %q, EvalCEL %v %v", e.Text, rowOf(e, get), got, reason, want, err)
			return
		}
		if e.Type.Kind == column.Decimal && magnitude(got.Int) >= uint64(powersOfTen[e.Type.Precision]) {
			t.Errorf("%s over %v: %d does not fit %s", e.Text, rowOf(e, get), got.Int, e.Type)
		}
		if bad {
			failures++
		} else if got.Null {
			nulls++
		}
		if bad && !got.Null || got.Null && (result.Int != nil && result.Int[i] != 0 || result.Str != nil && result.Str[i] != "") {
			t.Errorf("%s: row %d without a value holds one", e.Text, i)
		}
	}
	return failures, nulls
}

func same(a, b column.Value) bool {
	return a.Null == b.Null && a.Int == b.Int && a.Str == b.Str && math.Float64bits(a.Float) == math.Float64bits(b.Float)
}

func rowOf(e *Expr, get func(string) column.Value) map[string]column.Value {
	out := map[string]column.Value{}
	for _, name := range e.Columns {
		out[name] = get(name)
	}
	return out
}

func FuzzBothEvaluatorsAgree(f *testing.F) {
	zones := zones(f)
	for seed := range uint64(20) {
		f.Add(seed, seed*7)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		g := generator{rand.New(rand.NewPCG(a, b))}
		text := g.of(kinds[g.IntN(len(kinds))], 1+g.IntN(5))
		e, err := Compile(text, testColumns, zones[g.IntN(len(zones))])
		if err != nil {
			mustBeKnownError(t, text, err)
			return
		}
		compareEvaluators(t, e, g.batch(16), 16)
	})
}

// Whatever a user writes is an expression that both evaluators read alike, or
// an error that points into the text and says what to do.
func FuzzCompileText(f *testing.F) {
	for _, c := range valueCases {
		f.Add(c.text)
	}
	for _, c := range errorCases {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Compile(text, testColumns, nil)
		if err != nil {
			checkErrorShape(t, text, err)
			return
		}
		compareEvaluators(t, e, generator{rand.New(rand.NewPCG(uint64(len(text)), 3))}.batch(8), 8)
	})
}
