package expr

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
)

// Shards evaluate one definition at the same time: without this, one shard's
// rows could end up in another's.
func TestOneExpressionServesManyGoroutines(t *testing.T) {
	t.Parallel()
	e, err := Compile("coalesce(lower(name) + '-' + string(price * 2), code) + string(int(digits) + qty)", testColumns, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			g := generator{rand.New(rand.NewPCG(uint64(worker), 9))}
			for range 30 {
				n := 1 + g.IntN(40)
				compareEvaluators(t, e, g.batch(n), n)
			}
		})
	}
	wait.Wait()
}

// Row logic passes its own columns in and keeps results across batches.
func TestEvalNeitherChangesNorKeepsItsColumns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want []int64
	}{{"qty", []int64{1, 2}}, {"coalesce(qty, 9)", []int64{1, 2}}, {"7", []int64{7, 7}}, {"int(qty)", []int64{1, 2}}} {
		e, err := Compile(c.text, testColumns, nil)
		if err != nil {
			t.Fatal(err)
		}
		qty := &column.Vector{Type: testColumns["qty"], Nulls: make([]bool, 3), Int: []int64{1, 2, 3}}
		get := func(string) *column.Vector { return qty }
		first, _ := e.Eval(get, 2)
		qty.Int[0], qty.Int[1] = 100, 100
		second, _ := e.Eval(get, 2)
		second.Int[0] = 55
		if first.Len() != 2 || first.Int[0] != c.want[0] || first.Int[1] != c.want[1] {
			t.Errorf("%s: an earlier result became %v", c.text, first.Int)
		}
		if qty.Int[0] != 100 {
			t.Errorf("%s: changing a result changed the column", c.text)
		}
	}
}

func TestEvalOfNoRows(t *testing.T) {
	t.Parallel()
	e, err := Compile("qty > 0 && name in ['a']", testColumns, nil)
	if err != nil {
		t.Fatal(err)
	}
	result, failures := e.Eval(func(name string) *column.Vector { return column.NewVector(testColumns[name], 0) }, 0)
	if result.Len() != 0 || failures != nil {
		t.Errorf("no rows gave %v and %v", result, failures)
	}
}

func TestColumnsAreThoseReadSorted(t *testing.T) {
	t.Parallel()
	e, err := Compile("qty > 0 && name in ['a'] || price * qty < 3", testColumns, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Columns) != 3 || e.Columns[0] != "name" || e.Columns[1] != "price" || e.Columns[2] != "qty" {
		t.Errorf("columns are %v", e.Columns)
	}
}

// The definition's reader goes on changing its columns as it reads set steps.
func TestCompileDoesNotKeepTheCallersColumns(t *testing.T) {
	t.Parallel()
	columns := map[string]column.Type{"zip": {Kind: column.String}, "broken": {}}
	e, err := Compile("int(zip) + 1", columns, nil)
	if err != nil {
		t.Fatal(err)
	}
	columns["zip"] = column.Type{Kind: column.Int}
	got, err := e.EvalCEL(func(string) column.Value { return text("95126") })
	if err != nil || got.Int != 95127 {
		t.Errorf("after the column changed: %v, %v", got, err)
	}
	if _, err := Compile("broken == zip", columns, nil); err == nil {
		t.Error("a column without a type was read")
	}
}
