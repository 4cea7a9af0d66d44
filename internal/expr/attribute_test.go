package expr

import (
	"errors"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
)

// Without this, a condition on a lookup's attribute is refused, or one of the
// evaluators reads another column.
func TestNamesWithAPoint(t *testing.T) {
	t.Parallel()
	columns := map[string]column.Type{
		"plane": {Kind: column.String}, "plane.seats": {Kind: column.Int}, "plane.maker": {Kind: column.String},
	}
	r := row{"plane": "N14228", "plane.seats": 149, "plane.maker": "BOEING"}
	for text, want := range map[string]column.Value{
		"plane.seats > 100":                             yes,
		"plane.seats + 1 == 151":                        no,
		"plane.maker.lower() == 'boeing'":               yes,
		"plane + plane.maker == 'N14228BOEING'":         yes,
		"plane.startsWith('N') && plane.seats in [149]": yes,
		"coalesce(plane.maker, plane) == plane":         no,
	} {
		e, err := Compile(text, columns, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got, failures := e.Eval(func(name string) *column.Vector {
			v := column.NewVector(columns[name], 1)
			v.Set(0, r.value(name))
			return v
		}, 1)
		reference, err := e.EvalCEL(r.value)
		if got.At(0) != want || reference != want || len(failures) > 0 || err != nil {
			t.Errorf("%s: Eval gives %v (%v), EvalCEL %v (%v), not %v", text, got.At(0), failures, reference, err, want)
		}
	}
	_, err := Compile("plane.seat > 100", columns, nil)
	var mistake *Error
	if !errors.As(err, &mistake) || !strings.Contains(mistake.Message, "no attribute plane.seat") || !strings.Contains(mistake.Remedy, "plane.maker, plane.seats") {
		t.Errorf("a misspelt attribute: %+v", err)
	}
}
