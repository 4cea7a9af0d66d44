package oracle

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
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
	def := &definition.Definition{Zone: g.zone(), Events: definition.Events{Format: g.pick("json", "json", "csv", "tsv"), Time: "at"}}
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
		if def.Events.Format != "json" {
			c.From = []string{strings.Join(c.From, ".")}
			def.Events.Fields = append(def.Events.Fields, c.From[0])
		}
		def.Events.Columns = append(def.Events.Columns, c)
	}
	if def.Events.Format != "json" {
		def.Events.Fields = append(def.Events.Fields, "nobody reads this")
		g.Shuffle(len(def.Events.Fields), func(i, j int) {
			def.Events.Fields[i], def.Events.Fields[j] = def.Events.Fields[j], def.Events.Fields[i]
		})
	}
	def.Columns = slices.Clone(def.Events.Columns)
	g.clean(def)
	for i, grain := range []definition.Grain{
		definition.Minute, definition.FiveMinutes, definition.FifteenMinutes, definition.Hour,
		definition.Day, definition.Week, definition.Month, definition.None,
	} {
		v := definition.View{Name: fmt.Sprint("view", 9-i), Every: grain, By: []string{"ok", "code"}, Measures: measures(def)}
		if g.IntN(6) == 0 {
			v.Where = g.where(def)
		}
		def.Views = append(def.Views, v)
	}
	return def
}

// where makes a view's condition: some are null now and then, some fail.
func (g generator) where(def *definition.Definition) *expr.Expr {
	types := map[string]column.Type{}
	for _, c := range def.Columns {
		types[c.Name] = c.Type
	}
	e, err := expr.Compile(g.pick("n > 0", "price < 3", "ok || code == 'a' || int(code) > 3", "text != 'a'", "ok", "n * n * n < 100"), types, def.Zone)
	if err != nil {
		panic(err)
	}
	return e
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
		if c.Type.Kind != column.Float {
			out = append(out, definition.Measure{Name: "distinct" + c.Name, Func: definition.Distinct, Column: c.Name, Type: c.Type, K: 16})
		}
		if len(funcs) > 3 || c.Type.Kind == column.Float {
			out = append(out, definition.Measure{Name: "quantiles" + c.Name, Func: definition.Quantiles, Column: c.Name, Type: c.Type, Error: "0.02"})
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
			def.Clean = append(def.Clean, definition.Step{Kind: definition.Require, Reason: g.pick("no", "never"), Expr: compile(g.pick("n >= 0", "coalesce(price, 0) > -5", "ok || n < 5", "hour(at) < 20", "coalesce(temp, 1.5) < 1e3", "coalesce(weekday(day), 1) < 6", "ok == (day == day)"))})
		case 3:
			def.Clean = append(def.Clean, definition.Step{Kind: definition.Drop, Expr: compile(g.pick("text == 'test'", "code in ['', 'x']", "int(code) > 3", "ok"))})
		case 4:
			name := fmt.Sprint("derived", len(def.Columns))
			assign := definition.Assign{Column: name, Expr: compile(g.pick("n * n", "price * price", "price + n", "n + 1", "-price", "decimal(code, 2)", "temp", "ok ? temp : -0.0", "day", "text == code", "string(day)"))}
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
		[]string{`"\ud800"`, `"\ude00\ud83d"`, `"\ud83dA"`, `"` + strings.Repeat("x", 4096) + `"`, `"` + strings.Repeat("é", 2048) + `é"`, `true`, `["a"]`, `{}`, `"\x"`, "\"\t\""})
}

func (g generator) number() string {
	return g.either(
		[]string{`0`, `1`, `-3`, `4.0`, `1e2`, `120e-1`, `-0`, `99999`, `null`, `5`, `0e999999999999`, `3.000`},
		[]string{`1e18`, `1.1e18`, `-1e30`, `1e-18`, `0.9e-18`, `0.001`, `9223372036854775807`, `-9223372036854775808`, `9223372036854775808`, `1e400`, `1e-400`, `1e999999999999`, `1e-999999999999`,
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

// event makes an event of a format, of which about half are broken somehow.
func (g generator) event(e definition.Events) []byte {
	if e.Format == "json" {
		return g.object()
	}
	return g.record(e)
}

// record makes a csv or tsv event: what the JSON event would hold, in places.
func (g generator) record(e definition.Events) []byte {
	separator := map[string]string{"csv": ",", "tsv": "\t"}[e.Format]
	var cells []string
	for _, name := range e.Fields {
		var text string
		switch name {
		case "item.at", "item.sent":
			text = g.moment()
		case "n", "price", "temp":
			text = g.either([]string{g.number()}, []string{"NaN", "nan", "Inf", "-Infinity", "0x1p-2", "1_0", "-0.0", " 1", "1 ", "1,000"})
		case "ok":
			text = g.either([]string{"true", "false", ""}, []string{"TRUE", "1", "yes", " true"})
		case "day":
			text = g.either([]string{"2014-11-01", "1969-12-31", "0001-01-01", "9999-12-31", ""}, []string{"2014-02-30", "0000-01-01", "2014-1-1", "20141101", "2014-11-01T00:00:00Z"})
		default:
			text = g.text()
		}
		if unquoted, err := strconv.Unquote(text); err == nil {
			text = unquoted
		} else if text == "null" {
			text = ""
		}
		cells = append(cells, g.cell(e.Format, text))
	}
	switch g.IntN(20) {
	case 0:
		cells = cells[:g.IntN(len(cells))]
	case 1:
		cells = append(cells, "")
	}
	data := strings.Join(cells, separator) + g.either([]string{"", "\n", "\r\n"}, []string{"\r", "\n\n", " "})
	switch g.IntN(30) {
	case 0:
		data = data[:g.IntN(len(data)+1)]
	case 1:
		at := g.IntN(len(data) + 1)
		data = data[:at] + g.pick(`"`, `""`, `\`, ",", "\t", "\n", "\r\n", "\x00", "\xff") + data[at:]
	case 2:
		data = g.pick("", "\n", "\r\n", `""`, `\N`, data+data)
	}
	return []byte(data)
}

// cell writes a text as a field, now and then in another way than it must be.
func (g generator) cell(format, text string) string {
	if format == "tsv" {
		if text == "" {
			return g.pick("", `\N`)
		}
		if g.IntN(40) == 0 {
			return text + g.pick(`\`, `\x`, `\N`, `\\`)
		}
		return strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`).Replace(text)
	}
	if strings.ContainsAny(text, ",\"\r\n") || g.IntN(4) == 0 {
		return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` + g.either([]string{""}, []string{" ", "x", `"`})
	}
	return text
}

// object makes a JSON event.
func (g generator) object() []byte {
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
	read := map[string]int{} // accepted events, by format
	for seed := range uint64(100) {
		g := generator{rand.New(rand.NewPCG(seed, 3))}
		def := g.definition()
		logic, err := rowlogic.New(def)
		if err != nil {
			t.Fatal(err)
		}
		events := make([]protocol.Event, 100)
		for i := range events {
			events[i] = protocol.Event{Position: protocol.Position{Seq: fmt.Sprint(i + 1)}, Data: g.event(def.Events), Last: true}
		}
		rows := logic.Run("shard", events)
		o := New(def)
		for i := range events {
			sameRow(t, o, rows, i)
			seen[rows.Outcome[i]]++
			if rows.Accepted(i) {
				read[def.Events.Format]++
			}
			if t.Failed() {
				t.Fatalf("seed %d, event %d: %q", seed, i, events[i].Data)
			}
		}
	}
	if min(read["json"], read["csv"], read["tsv"]) < 200 || seen[rowlogic.Accepted] < 2000 || seen[rowlogic.Rejected] < 2000 || seen[rowlogic.Dropped] < 100 {
		t.Errorf("the events show too little: %v, accepted %v", seen, read)
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
		own, theirs := r.get(c.Name), rows.Vector(c.Name).At(i)
		if own != theirs || math.Signbit(own.Float) != math.Signbit(theirs.Float) {
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
		if v.Where != nil {
			if own, theirs := newCells(o.def, v).holds(r), rows.Chosen(v).Int[i] == 1; own != theirs {
				t.Errorf("view %s where %s: the oracle says %t, row logic says %t", v.Name, v.Where.Text, own, theirs)
			}
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
	for _, name := range append(zones, "America/St_Johns", "America/Sao_Paulo", "Pacific/Apia", "Asia/Manila", "Europe/Lisbon", "Africa/Casablanca", "Antarctica/Troll", "Asia/Beirut", "Pacific/Kwajalein", "America/Sitka") {
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

// Old buckets are rolled up alike, around the changes of the clock too, whenever
// the version was sealed.
func TestRolledUpBucketsAreThoseOfTheViews(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	keeps := [][]definition.Keep{
		{{For: day, Every: definition.Hour}, {Every: definition.Day}},
		{{For: time.Second, Every: definition.FifteenMinutes}, {For: 7 * day, Every: definition.Day}, {Every: definition.Month}},
		{{For: 36 * time.Hour, Every: definition.Day}, {Every: definition.Week}},
	}
	random := rand.New(rand.NewPCG(1, 9))
	for _, name := range append(zones, "America/St_Johns", "America/Sao_Paulo", "Pacific/Apia", "Asia/Beirut") {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
		if v := (definition.View{Every: definition.Hour, Keep: keeps[0]}); !kept(v, zone, time.Time{}, start.Add(90*time.Minute)).Equal(bucket(definition.Hour, zone, start.Add(90*time.Minute))) {
			t.Errorf("%s: something is rolled up without a version", name)
		}
		for at := start; at.Year() < 2013; at = at.Add(time.Duration(random.Int64N(int64(20 * time.Hour)))).Truncate(time.Microsecond) {
			for _, keep := range keeps {
				v := definition.View{Every: keep[0].Every, Keep: keep}
				sealed := at.Add(time.Duration(random.Int64N(int64(50 * day)))).Truncate(time.Millisecond)
				if random.IntN(2) == 0 { // as a bucket ends
					sealed = bucket(keep[len(keep)-1].Every, zone, sealed).Add(keep[len(keep)-2].For - time.Duration(random.IntN(2))*time.Millisecond)
				}
				own, theirs := kept(v, zone, sealed, at).UnixMicro(), view.RolledUp(v, zone, sealed.UnixMilli()).Bucket(at.UnixMicro())
				if own != theirs {
					t.Errorf("%v in %s keeps %s at %s in the bucket of %s, the views in that of %s", keep, name, at.UTC(), sealed.UTC(), time.UnixMicro(own).UTC(), time.UnixMicro(theirs).UTC())
				}
			}
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
