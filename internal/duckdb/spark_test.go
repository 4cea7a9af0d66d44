//go:build clients

package duckdb_test

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/job"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	render "github.com/watershed-data/watershed/internal/sql"
	"github.com/watershed-data/watershed/internal/standin"
)

// TestSpark runs glue/batch.py in real Spark over a stand-in for S3, all cases in
// one Spark, and holds what it computes against what Go and DuckDB do.
func TestSpark(t *testing.T) {
	t.Parallel()
	s := startSpark(t)
	t.Run("states", s.statesAreGos)
	t.Run("ranges", s.rangesAcrossFiles)
	t.Run("duplicates", s.duplicatesAreDuckDBs)
	t.Run("examples", s.examplesAreDuckDBs)
	t.Run("erased", s.erasedAreErased)
	t.Run("nothing", s.nothingToCompute)
	t.Run("mismatch", s.mismatchStops)
	t.Run("again", s.againIsTheSame)
	t.Run("refused", s.refuses)
}

// statesAreGos is design law 2 once more: the states that Spark computes are those
// of Go and of DuckDB, bit for bit, for every measure, grain and type.
func (s *spark) statesAreGos(t *testing.T) {
	def := manageable(everything(t))
	r := rand.New(rand.NewPCG(1, 7))
	b := newBench(t, def)
	a1, a2 := rowsOf(r, def, "shard-a", 100, 700), rowsOf(r, def, "shard-a", 800, 300)
	other := rowsOf(r, def, `shard\'b"${spark.app.name}`, 9, 400)
	b.store(a1, a2)
	b.store(other)
	b.store(rowsOf(r, def, "shard-c", 1, 50)) // a shard that is not part of the cut
	job := b.job(map[string]string{"shard-a": "1049", other.Shard: "99"})
	f := newFold(def)
	f.add(job, a1, a2, other)
	f.compare(t, b, job, s.compute(t, b, job, f.figures))
}

// rangesAcrossFiles: the groups of a large view are in order from file to file, and
// a scan of part of the time gives just that part, by the index of pages.
func (s *spark) rangesAcrossFiles(t *testing.T) {
	def := small()
	b := newBench(t, def)
	rows := rowsOf(rand.New(rand.NewPCG(1, 1)), def, "s", 1, 60_000)
	b.store(rows)
	job := b.job(map[string]string{"s": "99999"})
	f := newFold(def)
	f.add(job, rows)
	result := s.compute(t, b, job, f.figures)
	f.compare(t, b, job, result)
	v := def.Views[0]
	if len(result.Views[v.Name]) < 2 {
		t.Fatalf("the view has the files %v, want several", result.Views[v.Name])
	}
	for _, file := range result.Views[v.Name] {
		var starts []int64
		b.scan(t, job, file, v, math.MinInt64, math.MaxInt64, func(time int64, _ []column.Value, _ []measure.State) error {
			starts = append(starts, time)
			return nil
		})
		if int64(len(starts)) != file.Rows {
			t.Errorf("%s has %d groups, its result says %d", file.Name, len(starts), file.Rows)
		}
		for _, at := range []struct{ from, to int }{{0, 1}, {len(starts) / 2, len(starts)/2 + 100}, {len(starts) - 1, len(starts) - 1}} {
			from, to := starts[at.from], starts[at.to]
			want, got := 0, 0
			for _, start := range starts {
				if start >= from && start < to {
					want++
				}
			}
			b.scan(t, job, file, v, from, to, func(int64, []column.Value, []measure.State) error { got++; return nil })
			if got != want {
				t.Errorf("[%d, %d) of %s gives %d groups, want %d", from, to, file.Name, got, want)
			}
		}
	}
}

// duplicatesAreDuckDBs: both engines see the same duplicates, also among rows that
// are stored twice. DuckDB's are those of the oracle.
func (s *spark) duplicatesAreDuckDBs(t *testing.T) {
	stream := newStream(t, 3)
	for n := range 400 {
		if n%150 == 149 {
			stream.reshard()
		}
		stream.send()
	}
	b := newBench(t, stream.def)
	stream.store(b)
	cut := map[string]string{}
	shards, err := stream.log.Shards(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, shard := range shards {
		cut[shard.ID] = strings.Repeat("9", 60)
	}
	for _, distinct := range []bool{true, false} {
		s.sameAsDuckDB(t, b, cut, distinct)
	}
}

// examplesAreDuckDBs takes events of examples from their bytes to the views: CSV with
// every type and an id, and JSON.
func (s *spark) examplesAreDuckDBs(t *testing.T) {
	for _, example := range []struct {
		name, events string
		skip, most   int // lines
	}{{"rides", "events.csv", 1, 1500}, {"flights", "flights-2013-01.ndjson.gz", 0, 1500}} {
		def, err := definition.Load(filepath.Join("..", "..", "examples", example.name, "pipeline.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		logic, err := rowlogic.New(def)
		if err != nil {
			t.Fatal(err)
		}
		var events []protocol.Event
		for i, line := range lines(t, filepath.Join("..", "..", "examples", example.name, example.events), example.skip+example.most)[example.skip:] {
			events = append(events, protocol.Event{
				Position: protocol.Position{Seq: fmt.Sprint(1000 + i)}, PartitionKey: fmt.Sprint("key ", i%7), Arrival: 1_700_000_000_000 + int64(i), Data: []byte(line), Last: true,
			})
			if i%10 == 0 { // and a producer that sends it again
				events = append(events, events[len(events)-1])
				events[len(events)-1].Position.Seq = fmt.Sprint(100_000 + i)
			}
		}
		slices.SortStableFunc(events, func(a, b protocol.Event) int { return cmp.Compare(a.Position.Key(), b.Position.Key()) })
		b := newBench(t, def)
		b.store(logic.Run("shardId-000000000000", events))
		s.sameAsDuckDB(t, b, map[string]string{"shardId-000000000000": "999999"}, false)
	}
}

// lines gives the first lines of a file.
func lines(t *testing.T, path string, most int) (out []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	for s := bufio.NewScanner(r); len(out) < most && s.Scan(); {
		out = append(out, s.Text())
	}
	return out
}

// erasedAreErased: of a row and what an erasure left of it, what it left counts.
func (s *spark) erasedAreErased(t *testing.T) {
	def := small()
	r := rand.New(rand.NewPCG(5, 6))
	b := newBench(t, def)
	rows := rowsOf(r, def, "s", 1, 300)
	b.store(rows)
	erased := *rows
	erased.Outcome = slices.Clone(rows.Outcome)
	for i := range erased.Outcome {
		if i%3 == 0 {
			erased.Outcome[i] = rowlogic.Erased
		}
	}
	b.store(&erased)
	result := s.sameAsDuckDB(t, b, map[string]string{"s": "999"}, true)
	if result.Events != 300 {
		t.Errorf("there are %d rows, want one of each of 300 positions", result.Events)
	}
}

// sameAsDuckDB has both engines compute a job and compares all they give.
func (s *spark) sameAsDuckDB(t *testing.T, b *bench, cut map[string]string, distinct bool) batch.Result {
	t.Helper()
	mine, theirs := b.job(cut), b.job(cut)
	mine.Distinct, theirs.Distinct = distinct, distinct
	theirs.Version = "v00000001-duckdb"
	want, err := b.engine(duckdb.Options{}).Compute(t.Context(), theirs)
	if err != nil {
		t.Fatal(err)
	}
	got := s.compute(t, b, mine, want.Figures)
	if got.Events == 0 || !maps.Equal(got.Figures, want.Figures) {
		t.Errorf("the figures are %v, DuckDB's %v", got.Figures, want.Figures)
	}
	for _, v := range b.def.AllViews() {
		have, wanted := b.text(t, mine, got, v), b.text(t, theirs, want, v)
		if have != wanted || have == "" {
			t.Errorf("distinct=%v: view %s is\n%s\nDuckDB says\n%s", distinct, v.Name, have, wanted)
		}
	}
	return got
}

// text writes down all groups of a view, in order.
func (b *bench) text(t *testing.T, j batch.Job, result batch.Result, v definition.View) string {
	var out strings.Builder
	for _, file := range result.Views[v.Name] {
		b.scan(t, j, file, v, math.MinInt64, math.MaxInt64, func(time int64, dims []column.Value, states []measure.State) error {
			fmt.Fprintf(&out, "%d %v %x\n", time, dims, measure.Encode(measure.New(v), states))
			return nil
		})
	}
	return out.String()
}

// nothingToCompute: the first run of a pipeline may find no file, no shard or no
// row, and publishes an empty version.
func (s *spark) nothingToCompute(t *testing.T) {
	def := small()
	def.Events = definition.Events{ID: "word", DedupeWithin: time.Minute}
	def.Views = append(def.Views, definition.View{Name: "one", Every: definition.None, Measures: []definition.Measure{
		{Name: "rows", Func: definition.Count}, {Name: "words", Func: definition.Distinct, Column: "word", Type: def.Columns[0].Type, K: 3}}})
	full := newBench(t, def)
	rows := rowsOf(rand.New(rand.NewPCG(1, 1)), def, "s", 10, 20)
	rows.ID = make([]rowlogic.Identity, len(rows.Events))
	full.store(rows)
	for name, c := range map[string]struct {
		bench *bench
		cut   map[string]string
	}{
		"no files":         {newBench(t, def), map[string]string{"s": "100"}},
		"no shards":        {full, nil},
		"nothing till cut": {full, map[string]string{"s": "9"}},
	} {
		job := c.bench.job(c.cut)
		job.Distinct = name == "nothing till cut"
		got := s.compute(t, c.bench, job, map[string]batch.Figure{})
		if got.Events != 0 {
			t.Errorf("%s: the figures are %+v", name, got.Figures)
		}
		for _, v := range def.AllViews() {
			for _, file := range got.Views[v.Name] {
				if file.Rows != 0 {
					t.Errorf("%s: view %s has %d rows", name, v.Name, file.Rows)
				}
			}
			if text := c.bench.text(t, job, got, v); text != "" {
				t.Errorf("%s: view %s has groups\n%s", name, v.Name, text)
			}
		}
	}
}

// mismatchStops: of rows that do not balance no view is computed.
func (s *spark) mismatchStops(t *testing.T) {
	def := small()
	b := newBench(t, def)
	rows := rowsOf(rand.New(rand.NewPCG(1, 1)), def, "s", 1, 50)
	b.store(rows)
	j := b.job(map[string]string{"s": "99", "t": "99"})
	f := newFold(def)
	f.add(j, rows)
	right := f.figures["s"]
	for name, wrong := range map[string]map[string]batch.Figure{
		"one event more":    {"s": {Count: right.Count + 1, Sum: right.Sum}},
		"another checksum":  {"s": {Count: right.Count, Sum: protocol.Sum{Hi: right.Sum.Hi, Lo: right.Sum.Lo ^ 1}}},
		"events of nowhere": {"s": right, "t": {Count: 1}},
		"no such shard":     {},
	} {
		made := s.job(t, b, j, wrong)
		if err := s.run(s.offer(t, made)); err != nil {
			t.Fatal(err)
		}
		result, err := job.ParseResult(s.get(t, made.Result))
		if err != nil {
			t.Fatal(err)
		}
		if got := result.Figures["s"]; result.Balanced || got != (job.Figure{Count: right.Count, Hi: right.Sum.Hi, Lo: right.Sum.Lo}) {
			t.Errorf("%s: the result is %+v", name, result)
		}
		if stored := s.list(t, made.Run+"/"+made.Version); len(stored) > 0 {
			t.Errorf("%s: views are stored: %v", name, stored)
		}
	}
}

// againIsTheSame: an attempt after another one has the same rows in files of its
// own, and its result has none of the other's.
func (s *spark) againIsTheSame(t *testing.T) {
	def := small()
	b := newBench(t, def)
	rows := rowsOf(rand.New(rand.NewPCG(2, 1)), def, "s", 1, 500)
	b.store(rows)
	j := b.job(map[string]string{"s": "999"})
	f := newFold(def)
	f.add(j, rows)
	made := s.job(t, b, j, f.figures)
	place := s.offer(t, made)
	seen := map[string]bool{}
	for range 2 {
		if err := s.run(place); err != nil {
			t.Fatal(err)
		}
		result := s.result(t, b, made)
		f.compare(t, b, j, result)
		for _, v := range def.AllViews() {
			for _, file := range result.Views[v.Name] {
				if seen[file.Name] {
					t.Errorf("both attempts have the file %s", file.Name)
				}
				seen[file.Name] = true
			}
		}
	}
	var stored int
	for _, key := range s.list(t, made.Run+"/"+made.Version) {
		if !strings.HasSuffix(key, "/") { // what stands for a folder
			stored++
		}
	}
	if stored != len(seen) {
		t.Errorf("%d files are stored, and the results name %d", stored, len(seen))
	}
}

// refuses lists jobs that would give a smaller answer, or mean something else.
func (s *spark) refuses(t *testing.T) {
	def := small()
	b := newBench(t, def)
	b.store(rowsOf(rand.New(rand.NewPCG(2, 1)), def, "s", 1, 5))
	made := s.job(t, b, b.job(map[string]string{"s": "999"}), nil)
	text, err := made.Text()
	if err != nil {
		t.Fatal(err)
	}
	damaged := made.Run + "/damaged.parquet"
	s.put(t, damaged, []byte("PAR1 damaged PAR1"))
	for _, c := range []struct{ name, old, new, want string }{
		{"another release", `"format":1`, `"format":2`, "format 2"},
		{"a key that it does not know", `"rows":`, `"since":"v1","rows":`, "since"},
		{"a type that it does not know", `"bigint"`, `"uuid"`, "uuid"},
		{"a file that is missing", "m000.parquet", "gone.parquet", "gone.parquet"},
		{"a file that is damaged", `"files":["`, `"files":["` + uri(damaged) + `","`, "corrupted file"},
		{"a file that Spark would pass over", "m000.parquet", "_m000.parquet", "begins with"},
	} {
		changed := strings.Replace(string(text), c.old, c.new, 1)
		place := fmt.Sprintf("%s/%d.json", made.Run, s.n.Add(1))
		s.put(t, place, []byte(changed))
		if err := s.run(uri(place)); changed == string(text) || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	if left := s.list(t, made.Run+"/result.json"); len(left) > 0 {
		t.Error("a job that failed has a result")
	}
	if err := s.run(uri("nowhere.json")); err == nil {
		t.Error("a job that is not there has been computed")
	}
}

// manageable leaves so many views and measures that Spark compiles them in seconds:
// one view of all measures that are values, and for every list of dimensions and
// every grain one with some of those, a list of hashes and one of buckets.
func manageable(def *definition.Definition) *definition.Definition {
	var views []definition.View
	for i, v := range def.Views {
		if v.Name[0] == 'a' && i > 0 || v.Name == "k1" || v.Name == "k2" {
			continue
		}
		if i > 0 {
			seen := map[definition.Func]bool{}
			var some []definition.Measure
			for k, m := range v.Measures {
				if list := m.Func == definition.Distinct || m.Func == definition.Quantiles; list && !seen[m.Func] || !list && k%8 == i%8 {
					some = append(some, m)
				}
				seen[m.Func] = true
			}
			v.Measures = some
		}
		views = append(views, v)
	}
	def.Views = views
	return def
}

// spark is a Spark that runs the driver on one job after the other, and the
// stand-in for S3 that it works on.
type spark struct {
	s3   *s3.Client
	mu   sync.Mutex // of the session
	jobs *os.File
	says *bufio.Scanner
	log  logText
	n    atomic.Int64
}

// logText is what several writers say.
type logText struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

const bucket = "bucket"

func startSpark(t *testing.T) *spark {
	endpoint, stop, err := standin.Ministack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	s := &spark{s3: s3.NewFromConfig(standin.Config(endpoint), func(o *s3.Options) { o.UsePathStyle = true })}
	if _, err := s.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	session, err := filepath.Abs(filepath.Join("..", "..", "glue", "testdata", "session.py"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pipe := filepath.Join(dir, "jobs")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, err := standin.Spark(endpoint, dir, session, pipe)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &s.log
	says, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.says = bufio.NewScanner(says)
	s.says.Buffer(nil, 1<<20)
	if err := s.reply(); err != nil {
		t.Fatalf("starting Spark: %v\n%s", errors.Join(err, cmd.Wait()), s.log.String())
	}
	if s.jobs, err = os.OpenFile(pipe, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.jobs.Close()
		if err := s.reply(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Spark replies after the last job: %v", err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("Spark ended with %v", err)
		}
		if t.Failed() {
			t.Logf("Spark says:\n%s", s.log.String())
		}
	})
	return s
}

// reply waits for the next reply. What else is said goes to the log.
func (s *spark) reply() error {
	for s.says.Scan() {
		text, ok := bytes.CutPrefix(s.says.Bytes(), []byte("reply: "))
		if !ok {
			fmt.Fprintf(&s.log, "%s\n", s.says.Bytes())
			continue
		}
		var failure *string
		if err := json.Unmarshal(text, &failure); err != nil || failure == nil {
			return err
		}
		return errors.New(*failure)
	}
	return cmp.Or(s.says.Err(), io.ErrUnexpectedEOF)
}

// run has the driver run the job at a place.
func (s *spark) run(place string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintln(s.jobs, place); err != nil {
		return err
	}
	return s.reply()
}

// compute has a job computed and fetches the view files into the bench.
func (s *spark) compute(t *testing.T, b *bench, j batch.Job, check map[string]batch.Figure) batch.Result {
	t.Helper()
	made := s.job(t, b, j, check)
	if err := s.run(s.offer(t, made)); err != nil {
		t.Fatal(err)
	}
	return s.result(t, b, made)
}

// uri names an object or a folder of the bucket.
func uri(key string) string { return "s3://" + bucket + "/" + key }

// offer stores a job and gives its place.
func (s *spark) offer(t *testing.T, made job.Job) string {
	t.Helper()
	text, err := made.Text()
	if err != nil {
		t.Fatal(err)
	}
	key := made.Run + "/job.json"
	s.put(t, key, text)
	return uri(key)
}

// job stores the rows that a job reads, and gives it.
func (s *spark) job(t *testing.T, b *bench, j batch.Job, check map[string]batch.Figure) job.Job {
	t.Helper()
	folder := fmt.Sprint(s.n.Add(1))
	dialect := render.Spark{Def: b.def}
	source := render.Source{Cut: map[string]protocol.Position{}, Distinct: j.Distinct}
	for shard, c := range j.Plan.Cut {
		source.Cut[shard] = c.Through
	}
	rows, err := dialect.Rows(source)
	if err != nil {
		t.Fatal(err)
	}
	out := job.Job{
		Format: job.Format, Pipeline: "laws", Generation: "g1", Run: folder, Version: j.Version,
		Columns: dialect.Columns(), Rows: rows, Figures: dialect.Figures(), Check: map[string]job.Figure{},
		Result: uri(folder + "/result.json"),
	}
	for shard, f := range check {
		out.Check[shard] = job.Figure{Count: f.Count, Hi: f.Sum.Hi, Lo: f.Sum.Lo}
	}
	for _, f := range j.Files {
		content, err := os.ReadFile(filepath.Join(b.dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		// A path that means something else to SQL, to globs and to Hive.
		key := folder + "/it's [a] day=1 *? {b}/" + f.Name
		s.put(t, key, content)
		out.Files = append(out.Files, uri(key))
	}
	for _, v := range b.def.AllViews() {
		query, err := dialect.View(v, j.Plan.T)
		if err != nil {
			t.Fatal(err)
		}
		out.Views = append(out.Views, job.View{Name: v.Name, Query: query, Order: dialect.Order(v), Output: uri(folder + "/" + j.Version + "/" + v.Name + "/")})
	}
	return out
}

// result fetches what came of a job.
func (s *spark) result(t *testing.T, b *bench, made job.Job) batch.Result {
	t.Helper()
	read, err := job.ParseResult(s.get(t, made.Result))
	if err != nil {
		t.Fatal(err)
	}
	out := batch.Result{Figures: map[string]batch.Figure{}, Views: map[string][]protocol.ViewFile{}}
	for shard := range made.Check {
		out.Figures[shard] = batch.Figure{}
	}
	for shard, f := range read.Figures {
		out.Figures[shard] = batch.Figure{Count: f.Count, Sum: protocol.Sum{Hi: f.Hi, Lo: f.Lo}}
		out.Events += f.Count
	}
	for _, v := range made.Views {
		for _, f := range read.Views[v.Name] {
			content := s.get(t, strings.TrimSuffix(v.Output, v.Name+"/")+f.Name)
			path := filepath.Join(b.dir, made.Version, f.Name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			out.Views[v.Name] = append(out.Views[v.Name], protocol.ViewFile{Name: f.Name, Rows: f.Rows})
		}
	}
	return out
}

func (s *spark) put(t *testing.T, key string, content []byte) {
	t.Helper()
	_, err := s.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(content)})
	if err != nil {
		t.Fatal(err)
	}
}

// list gives the keys that begin with a prefix.
func (s *spark) list(t *testing.T, prefix string) (keys []string) {
	t.Helper()
	reply, err := s.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: &prefix})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range reply.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

func (s *spark) get(t *testing.T, place string) []byte {
	t.Helper()
	_, key, err := job.Place(place)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := s.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		t.Fatalf("reading %s: %v", place, err)
	}
	defer func() { _ = reply.Body.Close() }()
	content, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
