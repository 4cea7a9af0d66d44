package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/expr"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/view"
)

// The laws: what the oracle makes of any bytes under any definition is what the
// layers' row logic, buckets and measures make of them. Each side is written
// without the other; where they disagree, one of them breaks the contract.

type generator struct{ *rand.Rand }

func (g generator) pick(of ...string) string { return of[g.IntN(len(of))] }

var zones = []string{"UTC", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu", "Europe/Amsterdam", "Africa/Monrovia"}

func (g generator) zone() *time.Location {
	zone, err := time.LoadLocation(zones[g.IntN(len(zones))])
	if err != nil {
		panic(err)
	}
	return zone
}

// definition makes one by hand, with kinds and grains that pipeline.yaml does
// not offer yet.
func (g generator) definition() *definition.Definition {
	def := &definition.Definition{Zone: g.zone(), Events: definition.Events{Format: "json", Time: "at"}}
	for _, c := range []definition.Column{
		{Name: "text", Type: column.Type{Kind: column.String}, Optional: true},
		{Name: "code", Type: column.Type{Kind: column.String}, From: []string{"item", "code"}},
		{Name: "n", Type: column.Type{Kind: column.Int}, Optional: g.IntN(2) == 0},
		{Name: "price", Type: column.Type{Kind: column.Decimal, Precision: 6 + g.IntN(13), Scale: g.IntN(4)}, Optional: true},
		{Name: "ok", Type: column.Type{Kind: column.Bool}, Optional: true},
		{Name: "day", Type: column.Type{Kind: column.Date}, Optional: true},
		{Name: "temp", Type: column.Type{Kind: column.Float}, Optional: true},
		{Name: "at", Type: column.Type{Kind: column.Timestamp}, From: []string{"item", "at"}, Zone: g.zone()},
		{Name: "item", Type: column.Type{Kind: column.Timestamp}, From: []string{"item", "sent"}, Optional: true},
	} {
		if c.From == nil {
			c.From = []string{c.Name}
		}
		def.Events.Columns = append(def.Events.Columns, c)
	}
	def.Columns = slices.Clone(def.Events.Columns)
	g.clean(def)
	for i, grain := range []definition.Grain{
		definition.Minute, definition.FiveMinutes, definition.FifteenMinutes, definition.Hour,
		definition.Day, definition.Week, definition.Month, definition.None,
	} {
		def.Views = append(def.Views, definition.View{Name: fmt.Sprint("view", i), Every: grain, By: []string{"ok", "code"}, Measures: measures(def)})
	}
	return def
}

func measures(def *definition.Definition) []definition.Measure {
	out := []definition.Measure{{Name: "rows", Func: definition.Count}}
	for _, c := range def.Columns {
		funcs := []definition.Func{definition.Count, definition.Min, definition.Max}
		if c.Type.Kind == column.Int || c.Type.Kind == column.Decimal {
			funcs = append(funcs, definition.Sum, definition.Avg)
		}
		for _, f := range funcs {
			out = append(out, definition.Measure{Name: string(f) + c.Name, Func: f, Column: c.Name, Type: c.Type})
		}
	}
	return out
}

// clean adds a few steps.
func (g generator) clean(def *definition.Definition) {
	types := map[string]column.Type{}
	for _, c := range def.Columns {
		types[c.Name] = c.Type
	}
	compile := func(text string) *expr.Expr {
		e, err := expr.Compile(text, types, def.Zone)
		if err != nil {
			panic(text + ": " + err.Error())
		}
		return e
	}
	for range g.IntN(6) {
		switch g.IntN(5) {
		case 0:
			text := g.pick("lower(trim(text))", "substr(code, 1, 2)", "string(n)", "text + code", "string(price)")
			name := g.pick("text", "code")
			def.Clean = append(def.Clean, definition.Step{Kind: definition.Set, Assign: []definition.Assign{{Column: name, Expr: compile(text)}}})
		case 1:
			def.Clean = append(def.Clean, definition.Step{Kind: definition.Default, Assign: []definition.Assign{
				{Column: g.pick("text", "code"), Value: column.Value{Str: "-"}}, {Column: "n", Value: column.Value{Int: 7}},
			}})
		case 2:
			def.Clean = append(def.Clean, definition.Step{Kind: definition.Require, Reason: g.pick("no", "never"), Expr: compile(g.pick("n >= 0", "coalesce(price, 0) > -5", "ok || n < 5", "hour(at) < 20"))})
		case 3:
			def.Clean = append(def.Clean, definition.Step{Kind: definition.Drop, Expr: compile(g.pick("text == 'test'", "code in ['', 'x']", "int(code) > 3", "ok"))})
		case 4:
			name := fmt.Sprint("derived", len(def.Columns))
			assign := definition.Assign{Column: name, Expr: compile(g.pick("n * n", "price * price", "price + n", "n + 1", "-price", "decimal(code, 2)"))}
			def.Clean = append(def.Clean, definition.Step{Kind: definition.Set, Assign: []definition.Assign{assign, {Column: "n", Expr: compile("n - 1")}, {Column: "price", Expr: compile(g.pick("price", "n"))}}})
			t := assign.Expr.Type
			if t.Kind == column.Decimal {
				t.Precision = column.MaxPrecision
			}
			def.Columns = append(def.Columns, definition.Column{Name: name, Type: t, Optional: true, Derived: true})
			types[name] = t
		}
	}
}

// either picks a value that a column takes, and now and then one that it may not.
func (g generator) either(good, bad []string) string {
	if g.IntN(12) == 0 {
		return g.pick(bad...)
	}
	return g.pick(good...)
}

func (g generator) text() string {
	return g.either(
		[]string{`"a"`, `" Test "`, `"test"`, `"\u00e9\ud83d\ude00"`, `"\u0000"`, `"ß\\u"`, `""`, `12`, `1.50`, `-0e1`, `null`, `"3"`, `"x"`, `"-7.25"`},
		[]string{`"\ud800"`, `"\ude00\ud83d"`, `"\ud83dA"`, `true`, `["a"]`, `{}`, `"\x"`, "\"\t\""})
}

func (g generator) number() string {
	return g.either(
		[]string{`0`, `1`, `-3`, `4.0`, `1e2`, `120e-1`, `-0`, `99999`, `null`, `5`, `0e999999999999`, `3.000`},
		[]string{`0.001`, `9223372036854775807`, `-9223372036854775808`, `9223372036854775808`, `1e400`, `1e-400`, `1e999999999999`, `1e-999999999999`,
			`"5"`, `"+5"`, `"1,5"`, `"0x1"`, `3.140`, `123456789012345678`, `00`, `+1`, `"1_0"`, `"1/2"`, `"Inf"`, `" 1"`, `".5"`, `"5."`, `12e-1`})
}

func (g generator) moment() string {
	return g.either(
		[]string{`"2014-11-01 19:35:41.158"`, `"2026-11-01T01:30:00"`, `"2026-11-01T00:30:00"`, `"2018-11-04t00:00:00z"`, `"2014-11-01T00:00:00.1234560000Z"`, `"2014-11-01 00:00:00+05:45"`,
			`1414870541`, `1414870541158`, `99999999999`, `100000000000`, `-99999999999.5`, `99999999999999`, `1e3`, `"1414870541"`,
			fmt.Sprint(g.Int64N(4e9) - 1e9), fmt.Sprint(g.Int64N(4e12) - 1e12)},
		[]string{`"2026-03-08T02:30:00"`, `"2026-10-04 02:15:00"`, `"2014-02-29T00:00:00Z"`, `"2016-02-29T24:00:00Z"`, `"2016-12-31T23:59:60Z"`, `"0000-01-01T00:00:00Z"`, `"0001-01-01T00:00:00+01:00"`,
			`"9999-12-31T23:59:59.999999-00:01"`, `"2014-11-01T00:00:00.1234567Z"`, `"2014-11-01"`, `"2014-11-01T00:00Z"`, `"2014-11-01T00:00:00,5Z"`, `"2014-11-01T00:00:00.Z"`, `"2014-11-01T00:00:00+24:00"`,
			`"2014-11-01T00:00:00+0100"`, `100000000000000`, `1414870541.1234567`, `-62135596801`, `null`, `true`, `"soon"`})
}

// event makes an event of which about half are broken somehow.
func (g generator) event() []byte {
	item := g.either(
		[]string{`{"code":` + g.text() + `,"at":` + g.moment() + `,"sent":` + g.moment() + `}`, `{"code":"a","at":` + g.moment() + `}`, `{"code":"b","at":0}`},
		[]string{`null`, `7`, `{"code":{"a":1},"at":0}`, `{"code":"a","at":[0]}`})
	data := fmt.Sprintf(`{"text":%s,"item":%s,"n":%s,"price":%s,"ok":%s,"day":%s,"temp":%s%s}`,
		g.text(), item, g.number(), g.number(), g.either([]string{`true`, `false`, `null`}, []string{`"true"`, `1`}),
		g.either([]string{`"2014-11-01"`, `"1969-12-31"`, `null`}, []string{`"2014-02-30"`, `"0000-01-01"`, `"2014-1-1"`, `20141101`}),
		g.number(), g.either([]string{``, `,"x":[{"a":"b"}]`, ` `}, []string{`,"n":1`, `,"x":{"a":1,"a":2}`, `,"x":` + nested(999), `,"x":` + nested(1000), `,`}))
	switch g.IntN(30) {
	case 0:
		data = data[:g.IntN(len(data))]
	case 1:
		at := g.IntN(len(data))
		data = data[:at] + string([]byte{byte(g.IntN(256))}) + data[at:]
	case 2:
		data = g.pick(``, ` `, `null`, `[]`, `"a"`, "\ufeff{}", data+data, data+"\n", " "+data, data+"\x00", `{}`, nested(1001), strings.Repeat(`{"a":`, 1001))
	}
	return []byte(data)
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func TestRowsAreThoseOfTheRowLogic(t *testing.T) {
	t.Parallel()
	seen := map[rowlogic.Outcome]int{}
	for seed := range uint64(100) {
		g := generator{rand.New(rand.NewPCG(seed, 3))}
		def := g.definition()
		logic, err := rowlogic.New(def)
		if err != nil {
			t.Fatal(err)
		}
		events := make([]protocol.Event, 100)
		for i := range events {
			events[i] = protocol.Event{Position: protocol.Position{Seq: fmt.Sprint(i + 1)}, Data: g.event(), Last: true}
		}
		rows := logic.Run("shard", events)
		o := New(def)
		for i := range events {
			sameRow(t, o, rows, i)
			seen[rows.Outcome[i]]++
			if t.Failed() {
				t.Fatalf("seed %d, event %d: %q", seed, i, events[i].Data)
			}
		}
	}
	if seen[rowlogic.Accepted] < 2000 || seen[rowlogic.Rejected] < 2000 || seen[rowlogic.Dropped] < 100 {
		t.Errorf("the events show too little: %v", seen)
	}
}

func sameRow(t *testing.T, o *Oracle, rows *rowlogic.Batch, i int) {
	t.Helper()
	r, _, verdict := o.row(rows.Events[i])
	if string(verdict.Outcome) != string(rows.Outcome[i]) || verdict.Reason != rows.Reason[i] {
		t.Errorf("the oracle says %s %q, row logic says %s %q: %s", verdict.Outcome, verdict.Reason, rows.Outcome[i], rows.Reason[i], rows.Detail[i])
	}
	if verdict.Outcome != Accepted || t.Failed() {
		return
	}
	for _, c := range o.def.Columns {
		if own, theirs := r.get(c.Name), rows.Vector(c.Name).At(i); own != theirs {
			t.Errorf("column %s is %s, row logic says %s", c.Name, Text(c.Type, own), column.FormatText(c.Type, theirs))
		}
		if v := r.get(c.Name); c.Type.Kind != column.String && !v.Null && Text(c.Type, v) != column.FormatText(c.Type, v) {
			t.Errorf("column %s is written %s and %s", c.Name, Text(c.Type, v), column.FormatText(c.Type, v))
		}
	}
	at := time.UnixMicro(r.get(o.def.Events.Time).Int)
	for _, v := range o.def.Views {
		if v.Every == definition.None {
			continue
		}
		if own, theirs := bucket(v.Every, o.def.Zone, at).UnixMicro(), rows.Times[v.Every].At(i).Int; own != theirs {
			t.Errorf("the %s bucket in %s of %s begins at %s, row logic says %s", v.Every, o.def.Zone, at.UTC(), time.UnixMicro(own).UTC(), time.UnixMicro(theirs).UTC())
		}
	}
}

// Most zones have odd days somewhere; every grain is asked around each change
// of the clock.
func TestBucketsAreThoseOfTheViews(t *testing.T) {
	t.Parallel()
	for _, name := range append(zones, "America/St_Johns", "America/Sao_Paulo", "Pacific/Apia", "Asia/Manila", "Europe/Lisbon", "Africa/Casablanca", "Antarctica/Troll") {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for at := time.Date(1890, 1, 1, 0, 0, 0, 0, time.UTC).In(zone); at.Year() < 2030; {
			_, end := at.ZoneBounds()
			if end.IsZero() {
				break
			}
			for _, away := range []time.Duration{-36 * time.Hour, -time.Hour, -time.Microsecond, 0, 59 * time.Minute, 90 * time.Minute, 23 * time.Hour, 40 * time.Hour} {
				for _, g := range []definition.Grain{definition.FifteenMinutes, definition.Hour, definition.Day, definition.Week, definition.Month} {
					at := end.Add(away)
					if own, theirs := bucket(g, zone, at).UnixMicro(), view.Bucket(g, zone, at.UnixMicro()); own != theirs {
						t.Errorf("the %s bucket in %s of %s begins at %s, the views say %s", g, name, at.UTC(), time.UnixMicro(own).UTC(), time.UnixMicro(theirs).UTC())
					}
				}
			}
			at = end
		}
	}
}

func TestResultsAreThoseOfTheMeasures(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(1, 3))}
	for range 2000 {
		def := definition.Measure{
			Name: "m", Column: "x", Type: column.Type{Kind: column.Decimal, Precision: 18, Scale: g.IntN(19)},
			Func: []definition.Func{definition.Count, definition.Sum, definition.Min, definition.Max, definition.Avg}[g.IntN(5)],
		}
		m := measure.Measure{Measure: def}
		var own tally
		var a, b measure.State
		for range g.IntN(12) {
			v := column.Value{Int: g.Int64N(2e18) - 1e18}
			switch g.IntN(4) {
			case 0:
				v = column.Null
			case 1:
				v.Int %= 10
			}
			own.add(def, v)
			if g.IntN(2) == 0 {
				m.Add(&a, v)
			} else {
				m.Add(&b, v)
			}
		}
		m.Merge(&a, b)
		r, err := m.Read(a)
		if err != nil {
			t.Fatal(err)
		}
		theirs := "null"
		_, scale := m.ResultType()
		switch {
		case r.Null:
		case r.Big != nil:
			theirs = fmt.Sprint(r.Big)
			if scale > 0 {
				sign, digits := "", strings.TrimPrefix(theirs, "-")
				if digits != theirs {
					sign = "-"
				}
				digits = strings.Repeat("0", max(0, scale+1-len(digits))) + digits
				theirs = sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
			}
		case def.Func == definition.Count:
			theirs = fmt.Sprint(r.Value.Int)
		default:
			theirs = column.FormatText(def.Type, r.Value)
		}
		if got := own.text(def); got != theirs {
			t.Fatalf("%s of %s is %s, the measure says %s", def.Func, def.Type, got, theirs)
		}
	}
}
