package rowlogic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/delimited"
	"github.com/watershed-data/watershed/internal/protocol"
)

// cleaning has a step of every kind.
func cleaning(t testing.TB) *definition.Definition {
	def := parse(t,
		`set: {product: "lower(trim(product))"}`,
		`default: {zipcode: "00000", price: 1}`,
		`set: {region: "substr(zipcode, 0, 3)", product: zipcode, discount: "price"}`,
		`{require: "price >= 0", reason: negative price}`,
		`require: "coalesce(amount, 0) + 1 > 0"`,
		`drop: "region == 'tes'"`,
	)
	def.Events.ID = "zipcode"
	return def
}

// mixture makes events of which about half are broken somehow.
func mixture(seed uint64, n int) []protocol.Event {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	data := make([]string, n)
	for i := range data {
		data[i] = `{"zipcode":` + pick(`95126`, `"test"`, `null`, `"1"`, `true`) +
			`,"ProductName":` + pick(`" A "`, `"b"`, `null`, `"\u0041"`, `[1]`) +
			`,"price":` + pick(`1`, `0.25`, `-1`, `99`, `"3.5"`, `1e99`, `null`) +
			pick(``, `,"amount":9223372036854775807`, `,"amount":5`, `,"price":1`) +
			`,"timestamp":` + pick(`0`, `"2014-11-01 19:35:41.158"`, `1414870541158`, `"soon"`, `null`) + `}`
		switch r.IntN(12) {
		case 0:
			data[i] = data[i][:r.IntN(len(data[i]))]
		case 1:
			at := r.IntN(len(data[i]))
			data[i] = data[i][:at] + string([]byte{byte(r.IntN(256))}) + data[i][at:]
		}
	}
	return events(data...)
}

// Law: a row depends on its event alone. Without it, a retry with other bounds
// or a recompute from raw bytes would give other rows than the speed layer had.
func TestAnySplitGivesTheSameRows(t *testing.T) {
	t.Parallel()
	for _, f := range formats(t) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20) {
				anySplitGivesTheSameRows(t, f, seed)
			}
		})
	}
}

func anySplitGivesTheSameRows(t *testing.T, f format, seed uint64) {
	t.Helper()
	all := f.mixture(seed, 200)
	whole := f.logic.Run("shard", all)
	known, seen := reasonSet(f.logic), map[string]int{}
	for i := range all {
		checkRow(t, whole, i, known)
		seen[string(whole.Outcome[i])+" "+whole.Reason[i]]++
	}
	if seed == 0 && len(seen) < 10 {
		t.Fatalf("the mixture shows too little: %v", seen)
	}
	r := rand.New(rand.NewPCG(seed, 2))
	for from := 0; from < len(all); {
		to := min(from+r.IntN(40), len(all)) // empty batches too
		sameRows(t, whole, from, f.logic.Run("shard", all[from:to]))
		from = to
	}
}

// format is a definition whose events have a format, and such events.
type format struct {
	name    string
	logic   *Logic
	mixture func(seed uint64, n int) []protocol.Event
}

func formats(t testing.TB) []format {
	t.Helper()
	return []format{
		{"json", newLogic(t, cleaning(t)), mixture},
		{"csv", newLogic(t, separated(t, "csv")), records(delimited.CSV)},
		{"tsv", newLogic(t, separated(t, "tsv")), records(delimited.TSV)},
	}
}

// records makes csv or tsv events of which about half are broken somehow.
func records(format delimited.Format) func(seed uint64, n int) []protocol.Event {
	return func(seed uint64, n int) []protocol.Event {
		r := rand.New(rand.NewPCG(seed, 4))
		pick := func(of ...string) string { return of[r.IntN(len(of))] }
		data := make([]string, n)
		for i := range data {
			texts := []string{pick("7", "a,b", ""), pick("0", "2014-11-01 19:35:41.158", "soon"), pick("tea", "a\tb\n", `"`, ""), pick("1", "", "2.5"), "",
				pick("1.5", "-3", "1.555", ""), pick("true", "false", "yes", ""), pick("2014-11-01", "2014-02-30", ""), pick("0.1", "-0.0", "NaN", "")}
			data[i] = string(format.Append(nil, texts[:len(texts)-r.IntN(20)/19]...)) + pick("", "\n", "\r\n")
			if r.IntN(8) == 0 {
				at := r.IntN(len(data[i]))
				data[i] = data[i][:at] + pick(`"`, `\`, "\n", ",", "\t", "\xff") + data[i][at:]
			}
		}
		return events(data...)
	}
}

// sameRows asserts that part is the rows of whole from an index on.
func sameRows(t *testing.T, whole *Batch, from int, part *Batch) {
	t.Helper()
	for i := range part.Events {
		if got, want := describe(part, i), describe(whole, from+i); got != want {
			t.Fatalf("event %q in another batch becomes\n%s\nand not\n%s", part.Events[i].Data, got, want)
		}
	}
}

func describe(b *Batch, i int) string {
	var out strings.Builder
	fmt.Fprintln(&out, b.Shard, b.Outcome[i], b.Reason[i], b.Detail[i], b.Hash[i], b.ID[i])
	for _, c := range b.Columns {
		fmt.Fprintf(&out, "%+v\n", c.At(i))
	}
	for _, g := range []definition.Grain{definition.Hour, definition.Day, definition.None} {
		fmt.Fprintf(&out, "%+v\n", b.Times[g].At(i))
	}
	return out.String()
}

func TestGoroutinesShareOneLogic(t *testing.T) {
	t.Parallel()
	logic := newLogic(t, cleaning(t))
	all := mixture(7, 300)
	want := logic.Run("shard", all)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 4 {
				if got := logic.Run("shard", all); !reflect.DeepEqual(got, want) {
					t.Error("another run of the same events gives another batch")
				}
			}
		})
	}
	wait.Wait()
}

// A consumer reads the next records into the same memory.
func TestRowsOutliveTheEventsBytes(t *testing.T) {
	t.Parallel()
	for _, f := range formats(t) {
		all := f.mixture(3, 300)
		want := f.logic.Run("shard", f.mixture(3, 300))
		got := f.logic.Run("shard", all)
		for i := range all {
			if !bytes.Equal(all[i].Data, want.Events[i].Data) {
				t.Fatalf("Run has changed %s event %d", f.name, i)
			}
			for k := range all[i].Data {
				all[i].Data[k] = '#'
			}
		}
		sameRows(t, want, 0, got)
	}
}

func TestNoEvents(t *testing.T) {
	t.Parallel()
	b := newLogic(t, cleaning(t)).Run("shard", nil)
	if len(b.Outcome) != 0 || b.Vector("region").Len() != 0 || b.Times[definition.Hour].Len() != 0 {
		t.Errorf("a batch without events has rows: %+v", b)
	}
}

// Any bytes have one outcome, spoil no other event, and are JSON exactly if
// encoding/json says so, with the same text in a column.
func FuzzEvents(f *testing.F) {
	for _, e := range mixture(1, 50) {
		f.Add(e.Data)
	}
	f.Add([]byte(nil))
	f.Add([]byte(`{"item":{"colour":"red"},"weight":1e308,"due":"2014-11-01","paid":true}`))
	f.Add([]byte("{\"zipcode\":\"\\ud800\",\"\\u0000\":\"\x00\"}"))
	logics := []*Logic{newLogic(f, sales(f)), newLogic(f, cleaning(f))}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, logic := range logics {
			b := logic.Run("shard", events(whole(""), string(data), whole("")))
			known := reasonSet(logic)
			for i := range b.Events {
				checkRow(t, b, i, known)
			}
			if !b.Accepted(0) || !b.Accepted(2) {
				t.Fatalf("a bad event spoils its neighbours: %v", b.Detail)
			}
			checkDecimals(t, logic, b)
		}
		agreeWithEncodingJSON(t, logics[0].Run("shard", events(string(data))))
	})
}

func checkDecimals(t *testing.T, logic *Logic, b *Batch) {
	t.Helper()
	for k, c := range logic.columns {
		for i := range b.Events {
			if _, ok := fit(b.Columns[k].At(i), c.Type, c.Type); !ok {
				t.Fatalf("%s holds %d: more digits than %s has", c.Name, b.Columns[k].Int[i], c.Type)
			}
		}
	}
}

var surrogate = regexp.MustCompile(`(?i)\\ud[89a-f]`)

func agreeWithEncodingJSON(t *testing.T, b *Batch) {
	t.Helper()
	data, reason := b.Events[0].Data, b.Reason[0]
	var fields map[string]json.RawMessage
	err := json.Unmarshal(data, &fields)
	switch {
	case reason == reasonUTF8 || reason == reasonDuplicate || reason == reasonDeep:
		return // encoding/json does not mind the first two, and the last is ours
	case reason == reasonEmpty || reason == reasonNotJSON || reason == reasonNotObject:
		if err == nil && fields != nil && !surrogate.Match(data) {
			t.Fatalf("encoding/json reads %q, which is rejected: %s", data, b.Detail[0])
		}
	case err != nil:
		t.Fatalf("encoding/json says %v of %q, which is decoded", err, data)
	case b.Accepted(0):
		want := string(fields["zipcode"])
		if want[0] == '"' {
			if err := json.Unmarshal(fields["zipcode"], &want); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.Vector("zipcode").At(0).Str; got != want {
			t.Fatalf("zipcode of %q is %q, encoding/json reads %q", data, got, want)
		}
	}
}

// BenchmarkSales runs the whitepaper's event on one core.
func BenchmarkSales(b *testing.B) {
	const rows = 1000
	data := make([]string, rows)
	size := 0
	for i := range data {
		data[i] = fmt.Sprintf(`{"zipcode":%d,"ProductName":"product%d","price":%d,"timestamp":"2014-11-01 19:%02d:41.158"}`, 95000+i%200, i%10, i%100, i%60)
		size += len(data[i])
	}
	cases := []struct {
		name  string
		steps []string
	}{
		{"decode", nil},
		{"clean", []string{`set: {product: "lower(trim(product))"}`, `default: {zipcode: "00000"}`, `set: {region: "substr(zipcode, 0, 3)"}`, `require: "price >= 0"`, `drop: "product == 'test'"`}},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			logic := newLogic(b, parse(b, c.steps...))
			batch := events(data...)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				logic.Run("shard", batch)
			}
			b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "events/s")
		})
	}
}
