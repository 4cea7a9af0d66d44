//go:build clients

package answers_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/functions/internal/answers"
	"github.com/watershed-data/watershed/functions/internal/runs"
	"github.com/watershed-data/watershed/internal/aws"
	"github.com/watershed-data/watershed/internal/aws/awstest"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/httpapi"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/speed"
	"github.com/watershed-data/watershed/internal/standin"
	"github.com/watershed-data/watershed/internal/viewfile/viewfiletest"
)

var dynamo, ministack string

func TestMain(m *testing.M) {
	os.Exit(standin.Main(m.Run,
		standin.Needed{URL: &dynamo, Start: standin.DynamoDB},
		standin.Needed{URL: &ministack, Start: func() (string, func(), error) { return standin.Ministack() }},
	))
}

const text = `
pipeline: sales
events: {format: json, columns: {product: {type: string}, price: {type: "decimal(12,2)"}, at: {type: timestamp}}, time: at}
clean: [{require: "price >= 0", reason: negative price}]
views: {sales: {by: [product], every: 1h, measures: {sales: count, revenue: sum(price)}}}
`

const hour = int64(time.Hour / time.Microsecond)

// world is a stack on stand-ins with a log in memory.
type world struct {
	t       testing.TB
	def     *definition.Definition
	log     *memory.Log
	store   *aws.Store
	speed   *protocol.Speed
	handler *httpapi.Handler
	listed  int // how often the stream's shards were listed
	arrival int64
	cells   map[cell]int64 // what is committed, by the test's own count
}

// cell is a group of the view sales.
type cell struct {
	hour    int64 // since 1970
	product string
}

func newWorld(t testing.TB, client sdk.HTTPClient) *world {
	t.Helper()
	def, err := definition.Parse("pipeline.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	logic, err := rowlogic.New(def)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, def: def, log: memory.NewLog(2), arrival: 1417392000000, cells: map[cell]int64{}}
	o := aws.Options{Items: "items-" + rand.Text(), Ledger: "ledger-" + rand.Text(), Master: "b-" + strings.ToLower(rand.Text()), PathStyle: true}
	o.Views = o.Master
	awstest.MakeTables(t, standin.Config(dynamo), o.Items, o.Ledger)
	if _, err := s3.NewFromConfig(standin.Config(ministack), func(o *s3.Options) { o.UsePathStyle = true }).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &o.Master}); err != nil {
		t.Fatal(err)
	}
	// Two stand-ins are one account.
	account := standin.Config(dynamo)
	account.HTTPClient = client
	if client == nil {
		account.HTTPClient = router{http.DefaultClient}
	}
	if w.store, err = aws.Open(account, o); err != nil {
		t.Fatal(err)
	}
	of := def.Generation
	now := func() int64 { return w.arrival }
	w.speed = &protocol.Speed{Log: w.log, Ledger: w.store.Ledger(of), RealTime: w.store.RealTime(of), Folder: speed.NewFolder(def, logic), Now: now}
	begun, err := runs.New(account, "arn:aws:states:us-east-1:000000000000:stateMachine:none", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w.handler, err = answers.New(answers.Options{
		Definition: def, MemoryMiB: 1024, Tips: w.store.Tips(of), Master: w.store.Master(of), Runs: begun,
		Reader: &protocol.Reader{Ledger: w.store.Ledger(of), RealTime: w.store.RealTime(of), Views: w.store.Views(of)},
		Shards: func(ctx context.Context) ([]protocol.Shard, error) {
			w.listed++
			return w.log.Shards(ctx)
		},
		Journal: w.store.Journal(of, "batch").Load,
		Ready:   func(ctx context.Context) error { return w.store.Holds(ctx, of) },
		Logger:  slog.New(slog.DiscardHandler), Now: func() time.Time { return time.UnixMilli(w.arrival) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// router sends requests for S3 to the stand-in that knows it.
type router struct{ client sdk.HTTPClient }

func (r router) Do(in *http.Request) (*http.Response, error) {
	if in.Header.Get("X-Amz-Target") == "" {
		at, err := url.Parse(ministack)
		if err != nil {
			return nil, err
		}
		in.URL.Host = at.Host // its signature is not looked at there
	}
	return r.client.Do(in)
}

// sell puts sales into a shard and lets the speed layer commit them.
func (w *world) sell(shard string, cells ...cell) {
	w.t.Helper()
	for _, c := range cells {
		w.arrival++
		at := time.UnixMicro(c.hour * hour).UTC().Format(time.RFC3339)
		w.log.Append(shard, "key", w.arrival, fmt.Appendf(nil, `{"product":%q,"price":"1.50","at":%q}`, c.product, at))
		w.cells[c]++
	}
	w.apply(shard)
}

func (w *world) apply(shard string) {
	w.t.Helper()
	page, err := w.log.Read(w.t.Context(), shard, protocol.Position{}, 1<<20)
	if err == nil {
		err = w.speed.Apply(w.t.Context(), protocol.Batch{Shard: shard, Events: page.Events})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// publish makes a version of everything that is committed, and more cells that nobody
// sold.
func (w *world) publish(more ...cell) {
	w.t.Helper()
	ctx, of := w.t.Context(), w.def.Generation
	views := w.store.Views(of)
	run := &protocol.Run{Speed: w.speed, Views: views, Now: func() int64 { return w.arrival }, Kept: 1}
	plan, err := run.Plan(ctx, rand.Text())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range more {
		w.cells[c]++
	}
	version := protocol.VersionName(plan.Pointer, rand.Text())
	m := protocol.Manifest{Version: version, Seq: plan.Pointer.Seq + 1, T: plan.T, Cut: plan.Cut, Generation: of, Views: map[string][]protocol.ViewFile{}}
	for name, cells := range map[string][]viewfiletest.Cell{"sales": w.sales(), definition.OutcomesView: w.outcomes()} {
		v, _ := w.def.View(name)
		file, err := viewfiletest.Encode(w.def, v, cells, parquet.PageBufferSize(16<<10)) // about the rows of a page as glue/batch.py writes them
		if err != nil {
			w.t.Fatal(err)
		}
		_, err = views.Create(ctx, version, name+".parquet", func(out io.Writer) error { _, err := out.Write(file); return err })
		if err != nil {
			w.t.Fatal(err)
		}
		m.Views[name] = []protocol.ViewFile{{Name: name + ".parquet", Rows: int64(len(cells))}}
	}
	if err := views.PutManifest(ctx, m); err != nil {
		w.t.Fatal(err)
	}
	if ok, err := run.Publish(ctx, plan, version); !ok || err != nil {
		w.t.Fatal(ok, err)
	}
	if _, err := run.Discard(ctx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sales() (out []viewfiletest.Cell) {
	for _, c := range w.sorted() {
		n := w.cells[c]
		out = append(out, viewfiletest.Cell{Time: c.hour * hour, Dims: []column.Value{{Str: c.product}}, States: []measure.State{{N: n}, {Sum: measure.FromInt64(n * 150), Set: true}}})
	}
	return out
}

func (w *world) outcomes() []viewfiletest.Cell {
	var all int64
	for _, n := range w.cells {
		all += n
	}
	return []viewfiletest.Cell{{Dims: []column.Value{{Str: "accepted"}, {Str: ""}}, States: []measure.State{{N: all}}}}
}

func (w *world) sorted() []cell {
	return slices.SortedFunc(maps.Keys(w.cells), func(a, b cell) int {
		if a.hour != b.hour {
			return int(a.hour - b.hour)
		}
		return strings.Compare(a.product, b.product)
	})
}

// ask asks as API Gateway does.
func (w *world) ask(method, target string) events.APIGatewayV2HTTPResponse {
	w.t.Helper()
	path, query, _ := strings.Cut(target, "?")
	e := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: path, RawQueryString: query}
	e.RequestContext.HTTP.Method = method
	out, err := w.handler.Invoke(w.t.Context(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// csv gives what the view sales holds by the test's own count, as the API prints it.
func (w *world) csv() string {
	var out bytes.Buffer
	out.WriteString("time,product,sales,revenue\n")
	for _, c := range w.sorted() {
		n := w.cells[c]
		fmt.Fprintf(&out, "%s,%s,%d,%d.%02d\n", time.UnixMicro(c.hour*hour).UTC().Format(time.RFC3339), c.product, n, n*150/100, n*150%100)
	}
	return out.String()
}

// check holds the merged answer against the test's own count.
func (w *world) check(when string) {
	w.t.Helper()
	out := w.ask("GET", "/v1/query?view=sales&format=csv")
	if out.StatusCode != http.StatusOK || out.Body != w.csv() {
		w.t.Errorf("%s: got %d\n%s\nwant\n%s", when, out.StatusCode, out.Body, w.csv())
	}
}

// problem reads an error.
func problem(t testing.TB, out events.APIGatewayV2HTTPResponse) (code, field, message string) {
	t.Helper()
	var p struct {
		Error struct{ Code, Field, Message string }
	}
	if err := json.Unmarshal([]byte(out.Body), &p); err != nil {
		t.Fatalf("%s: %v", out.Body, err)
	}
	return p.Error.Code, p.Error.Field, p.Error.Message
}
