package serving_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/expr"
	"github.com/watershed-data/watershed/internal/lookup"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
)

// shop is a pipeline with lookups, in a folder of its own. Price and stock are
// the words of the answers; what they hold is in shopTables.
const shop = `
pipeline: shop
events:
  format: json
  columns: {product: {type: string}, origin: {type: int}, dest: {type: int}, price: {type: "decimal(10,2)"}, at: {type: timestamp}}
  time: at
lookups:
  products: {file: products.ndjson, key: sku, on: [product]}
  places: {file: places.csv, key: code, on: [origin, dest]}
views:
  trips: {by: [product, origin, dest], every: 1h, measures: {n: count, total: sum(price)}}
  ever: {by: [product, origin], every: none, measures: {n: count}}
`

var shopTables = map[string]string{
	"products.ndjson": `{"sku":"a","kind":"tea","weight":1.5,"sold":true}
{"sku":"ab","kind":"tea","weight":12,"sold":false}
{"sku":"ä","kind":"mug, blue","weight":0.25}
{"sku":"","kind":null,"sold":true}
`,
	"places.csv": "code,name,country\n0,\"Ulm \"\"old\"\"\",DE\n1,\"Bern,\nbelow\",CH\n02,Wien,AT\n",
}

// shopWorld gives a world of the shop and the folder of its lookups.
func shopWorld(t testing.TB) (*world, string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range shopTables {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	def, err := definition.Parse(filepath.Join(dir, "pipeline.yaml"), []byte(shop))
	must(t, err)
	return newWorld(t, def, 2), dir
}

func shopService(t testing.TB, w *world, limits serving.Limits) *serving.Service {
	t.Helper()
	tables, err := lookup.Open(w.def, nil)
	must(t, err)
	s := w.service(limits)
	s.Lookups = tables
	return s
}

// described is what the tables say, written out by hand: attribute -> key ->
// value as an answer's text; what is not here is null.
var described = map[string]map[string]string{
	"product.sku":    {"a": "a", "ab": "ab", "ä": "ä", "": ""},
	"product.kind":   {"a": "tea", "ab": "tea", "ä": "mug, blue"},
	"product.weight": {"a": "1.50", "ab": "12.00", "ä": "0.25"},
	"product.sold":   {"a": "true", "ab": "false", "": "true"},
	"origin.name":    {"0": `Ulm "old"`, "1": "Bern,\nbelow", "2": "Wien"},
	"origin.country": {"0": "DE", "1": "CH", "2": "AT"},
	"dest.name":      {"0": `Ulm "old"`, "1": "Bern,\nbelow", "2": "Wien"},
	"dest.country":   {"0": "DE", "1": "CH", "2": "AT"},
}

var shopTypes = map[string]column.Type{
	"product": {Kind: column.String}, "origin": {Kind: column.Int}, "dest": {Kind: column.Int},
	"product.sku": {Kind: column.String}, "product.kind": {Kind: column.String}, "product.weight": {Kind: column.Decimal, Precision: 4, Scale: 2},
	"product.sold": {Kind: column.Bool}, "origin.name": {Kind: column.String}, "origin.country": {Kind: column.String},
	"dest.name": {Kind: column.String}, "dest.country": {Kind: column.String},
}

// shownValue gives a dimension or attribute of a fact as an answer's text.
func shownValue(f fact, name string) serving.Value {
	dim, _, attribute := strings.Cut(name, ".")
	v := f[dim]
	if v.Null {
		return serving.Value{Null: true}
	}
	text := column.FormatText(shopTypes[dim], v)
	if attribute {
		described, ok := described[name][text]
		return serving.Value{Null: !ok, Text: described}
	}
	return serving.Value{Text: text}
}

func shopFacts(rng *rand.Rand, n int) []fact {
	products := []column.Value{text("a"), text("ab"), text("ä"), text(""), text("unknown"), column.Null}
	places := []column.Value{whole(0), whole(1), whole(2), whole(3), column.Null}
	facts := make([]fact, n)
	for i := range facts {
		facts[i] = fact{
			"product": products[rng.IntN(len(products))], "origin": places[rng.IntN(len(places))], "dest": places[rng.IntN(len(places))],
			"price": whole(rng.Int64N(500) - 100),
			"at":    whole(time.Date(2014, 11, 1, rng.IntN(30), rng.IntN(60), 0, 0, time.UTC).UnixMicro()),
		}
	}
	return facts
}

// expected computes the answer by groups from the facts alone, with cel-go's own
// evaluator; rows are in no order.
func expected(t *testing.T, facts []fact, by []string, where string) []string {
	t.Helper()
	var condition *expr.Expr
	if where != "" {
		var err error
		condition, err = expr.Compile(where, shopTypes, nil)
		must(t, err)
	}
	type sums struct{ n, total int64 }
	groups := map[string]*sums{}
	for _, f := range facts {
		if condition != nil {
			v, err := condition.EvalCEL(func(name string) column.Value {
				shown := shownValue(f, name)
				if shown.Null {
					return column.Null
				}
				v, err := column.ParseText(shopTypes[name], shown.Text, nil)
				must(t, err)
				return v
			})
			must(t, err)
			if v.Null || v.Int == 0 {
				continue
			}
		}
		var key []serving.Value
		for _, name := range by {
			key = append(key, shownValue(f, name))
		}
		text := fmt.Sprintf("%+v", key)
		if groups[text] == nil {
			groups[text] = &sums{}
		}
		groups[text].n++
		groups[text].total += f["price"].Int
	}
	var out []string
	for key, s := range groups {
		total := column.FormatText(column.Type{Kind: column.Decimal, Precision: 18, Scale: 2}, whole(s.total))
		out = append(out, fmt.Sprintf("%s %d %s", key, s.n, total))
	}
	slices.Sort(out)
	return out
}

// given is the same of an answer.
func given(t *testing.T, a *serving.Answer, by int) []string {
	t.Helper()
	var out []string
	for i := range a.Len() {
		values, err := a.Row(i)
		must(t, err)
		out = append(out, fmt.Sprintf("%+v %s %s", values[:by], values[by].Text, values[by+1].Text))
	}
	slices.Sort(out)
	return out
}

// Without this, joining after merging gives other sums than joining every event,
// or a condition keeps other cells than it would keep events.
func TestJoinsAndConditionsAreThoseOfTheEvents(t *testing.T) {
	t.Parallel()
	bys := [][]string{
		{"product.kind"}, {"product", "product.kind"}, {"origin.country", "dest.country"}, {"origin.name", "product.sold"},
		{"product.weight", "dest"}, {}, {"dest", "origin", "product"}, {"product.sku"},
	}
	wheres := []string{
		"", "product == 'a'", "product != 'a'", "product.kind == 'tea'", "coalesce(product.kind, 'none') == 'none'", "origin < dest",
		"product.weight > 1.2 || dest.country == 'DE'", "product.sold", "!(origin.country in ['DE', 'CH']) && size(product) > 0",
		"origin.name.contains(',') || coalesce(origin, -1) == -1", "true", "false",
	}
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(11, seed))
			w, _ := shopWorld(t)
			facts := shopFacts(rng, 120)
			w.fill(rng, 2, facts)
			s := shopService(t, w, serving.Limits{})
			for _, by := range bys {
				for _, where := range wheres {
					got := given(t, query(t, s, serving.Query{View: "trips", By: by, Every: definition.None, Where: where}), len(by))
					if want := expected(t, facts, by, where); !slices.Equal(got, want) {
						t.Errorf("by %v where %s:\n got %v\nwant %v", by, where, got, want)
					}
				}
			}
		})
	}
}

// Without this, an order by an attribute is that of the keys.
func TestOrderByAttributes(t *testing.T) {
	t.Parallel()
	w, _ := shopWorld(t)
	var facts []fact
	for _, p := range []column.Value{text("a"), text("ab"), text("ä"), text("unknown"), column.Null} {
		facts = append(facts, fact{"product": p, "origin": whole(0), "dest": whole(1), "price": whole(1), "at": whole(0)})
	}
	w.fill(rand.New(rand.NewPCG(12, 0)), 1, facts)
	s := shopService(t, w, serving.Limits{})
	for order, want := range map[string]string{
		"product.weight":                "null unknown ä a ab", // null is the smallest, and ties are in the default order
		"-product.weight":               "ab a ä null unknown",
		"product.kind,-product":         "unknown null ä ab a",
		"-product.sold,-product.weight": "a ab ä null unknown",
	} {
		q := serving.Query{View: "trips", By: []string{"product"}, Every: definition.None, Order: serving.ParseOrder(strings.Split(order, ","))}
		var got []string
		for q.Limit = 2; ; { // over pages, whose cursors hold the attributes
			a := query(t, s, q)
			for i := range a.Len() {
				values, err := a.Row(i)
				must(t, err)
				if values[0].Null {
					values[0].Text = "null"
				}
				got = append(got, values[0].Text)
			}
			if a.Next == nil {
				break
			}
			q.Cursor = *a.Next
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("order %s: got %s, want %s", order, text, want)
		}
	}
}

// Without this, a typing mistake gives an empty answer, and a change of a file
// pages that do not fit together.
func TestWrongConditionsAndAttributes(t *testing.T) {
	t.Parallel()
	w, dir := shopWorld(t)
	facts := shopFacts(rand.New(rand.NewPCG(13, 0)), 50)
	facts[0]["product"] = text("unknown")
	w.fill(rand.New(rand.NewPCG(13, 0)), 1, facts)
	s := shopService(t, w, serving.Limits{})
	refused := func(q serving.Query, field, says string) {
		t.Helper()
		_, err := s.Query(t.Context(), q)
		var e *serving.Error
		if !errors.As(err, &e) || e.Code != serving.Invalid || e.Field != field || !strings.Contains(e.Message, says) {
			t.Errorf("%+v: got %v, want %s and something with %q", q, err, field, says)
		}
	}
	for where, says := range map[string]string{
		"product == 'a' && prodct == 'b'": `at character 19, "prodct == 'b'": there is no column prodct; write product`,
		"product.king == 'tea'":           "there is no attribute product.king; the attributes are product.kind, product.sku",
		"shop.kind == 'tea'":              "it has product, origin, dest; an attribute is named by its dimension and not by its lookup, as product.ATTRIBUTE",
		"time > 3":                        "there is no column time; choose times with from and to",
		"total > 3.0":                     "a measure is not known before cells are merged",
		"origin + 1":                      "must be a condition",
		"int(product) > 3":                `where has no result for product = "`,
		"product == null":                 "null cannot be written",
	} {
		refused(serving.Query{View: "trips", Where: where}, "where", says)
	}
	for name, says := range map[string]string{
		"product.king": "no attribute \"king\"; it has product.sku, product.kind",
		"pruduct.kind": "there is no dimension \"pruduct\" here",
		"shop.kind":    "as product.ATTRIBUTE",
		"dest.x.y":     "no attribute \"x.y\"",
		"kind":         "no dimension \"kind\"; it has product, origin, dest",
	} {
		refused(serving.Query{View: "trips", By: []string{name}}, "by", says)
	}
	refused(serving.Query{View: "trips", By: []string{"dest"}, Order: serving.ParseOrder([]string{"product.kind"})}, "order", "no dimension \"product\" here")
	refused(serving.Query{View: "ever", By: []string{"dest.name"}}, "by", "it has product, origin")

	q := serving.Query{View: "trips", By: []string{"product.kind"}, Limit: 1}
	q.Cursor = *query(t, s, q).Next
	must(t, os.WriteFile(filepath.Join(dir, "products.ndjson"), []byte(`{"sku":"a","kind":"pot"}`), 0o600))
	refused(q, "cursor", "lookup products has changed since the page before")
	q.Cursor = ""
	a := query(t, s, q)
	if len(a.Lookups) != 1 || a.Lookups[0].Name != "products" || a.Lookups[0].Rows != 1 || a.Warning() != "" {
		t.Errorf("the answer does not say what it was joined with: %+v", a.Lookups)
	}
	must(t, os.WriteFile(filepath.Join(dir, "products.ndjson"), []byte(`{"sku":"a"}`+"\n"+`{"sku":"a"}`), 0o600))
	if a = query(t, s, q); !strings.Contains(a.Warning(), "cannot be used: line 2") || !strings.Contains(show(t, a), `"problem":"line 2: the key`) {
		t.Errorf("the answer hides that its lookup is an older one: %q", a.Warning())
	}
	status, err := s.Status(t.Context())
	must(t, err)
	if len(status.Lookups) != 2 || status.Lookups[0].Problem == "" {
		t.Errorf("the status hides it: %+v", status.Lookups)
	}
}

// Without this, a page of a large view needs all of its groups in memory, or
// reading a file in its order drops or doubles groups.
func TestSortedFilesGiveTheSameAnswers(t *testing.T) {
	t.Parallel()
	def := parse(t, `
pipeline: wide
events: {format: json, columns: {id: {type: int}, kind: {type: string}, at: {type: timestamp}}, time: at}
views: {ids: {by: [kind, id], every: 1m, measures: {n: count, s: sum(id)}}}
`)
	rng := rand.New(rand.NewPCG(14, 0))
	kinds := []column.Value{text("x"), text("y"), column.Null}
	var old, fresh []fact
	for i := range 1500 {
		f := fact{"id": whole(int64(rng.IntN(600))), "kind": kinds[rng.IntN(3)], "at": whole(int64(i%3) * 60e6)}
		if old = append(old, f); i%20 == 0 {
			fresh = append(fresh, fact{"id": whole(int64(rng.IntN(800))), "kind": f["kind"], "at": f["at"]})
		}
	}
	serve := func(files int, limits serving.Limits) *serving.Service {
		w := newWorld(t, def, 1)
		w.commit("shardId-000000000000", protocol.Row{Epoch: 2, Through: at(1000), Count: 1, MaxArrival: now})
		w.items(rng, "shardId-000000000000", 1, at(1000), fresh)
		w.publish(old, files)
		return w.service(limits)
	}
	whole, small := serve(4, serving.Limits{}), serve(1, serving.Limits{Groups: 220})
	orders := []string{"", "-n", "s,-kind", "-s", "-time,n", "n"}
	bys := [][]string{nil, {"kind"}, {"kind", "id"}}
	for _, order := range orders {
		for _, by := range bys {
			for _, where := range []string{"", "id >= 100 && coalesce(kind, 'z') != 'x'"} {
				q := serving.Query{View: "ids", By: by, Where: where, Limit: 50}
				if order != "" {
					q.Order = serving.ParseOrder(strings.Split(order, ","))
				}
				for range 4 {
					got, want := query(t, small, q), query(t, whole, q)
					if rowsOf(t, got) != rowsOf(t, want) {
						t.Fatalf("by %v order %q where %q: got %s, want %s", by, order, where, show(t, got), show(t, want))
					}
					if got.Next == nil {
						break
					}
					q.Cursor = *got.Next
				}
			}
		}
	}
	_, err := small.Query(t.Context(), serving.Query{View: "ids", Order: serving.ParseOrder([]string{"-n"})})
	var large *serving.Error
	if !errors.As(err, &large) || large.Code != serving.TooLarge || !strings.Contains(large.Message, "or a limit") {
		t.Errorf("without a limit: %v", err)
	}
}
