package archive_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

const orders = `
pipeline: orders
events:
  format: json
  columns:
    id: {type: string, optional: true}
    price: {type: "decimal(8,2)", optional: true}
    open: {type: bool, optional: true}
    day: {type: date, optional: true}
    at: {type: timestamp}
  time: at
  id: id
  dedupe_within: 1m
clean:
  - require: "price >= 0"
    reason: negative
views:
  v:
    by: [id]
    every: 1h
    measures: {n: count, total: sum(price)}
`

// dataset is a master dataset of orders.
type dataset struct {
	*memory.Master
	t     *testing.T
	def   *definition.Definition
	logic *rowlogic.Logic
}

func newDataset(t *testing.T) *dataset {
	t.Helper()
	def, err := definition.Parse("orders.yaml", []byte(orders))
	must(t, err)
	logic, err := rowlogic.New(def)
	must(t, err)
	return &dataset{Master: memory.NewMaster(), t: t, def: def, logic: logic}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// order is event n of a shard.
func order(n int) protocol.Event {
	data := []string{
		`{"id":"i%d","price":12.5,"open":true,"day":"2014-11-0%[2]d","at":"2014-11-01T00:00:0%[2]dZ"}`,
		`{"id":"i%d","price":-1,"at":0%.0[2]d}`,
		`{"at":"2014-11-01T19:35:41Z"}%.0d%.0d`,
		`no order%.0d%.0d`,
	}[n%4]
	return protocol.Event{
		Position: protocol.Position{Seq: fmt.Sprint(1000 + n)}, PartitionKey: fmt.Sprint("k", n%5), Arrival: int64(n) * 1000,
		Data: fmt.Appendf(nil, data, n, 1+n%9), Last: true, Stray: n%7 == 0,
	}
}

// put stores a file of a shard's orders.
func (d *dataset) put(shard string, numbers ...int) protocol.File {
	d.t.Helper()
	var events []protocol.Event
	for _, n := range numbers {
		events = append(events, order(n))
	}
	f, err := d.Put(d.t.Context(), shard, func(w io.Writer) error { return archive.Write(w, d.def, d.logic.Run(shard, events)) })
	must(d.t, err)
	return f
}

func upTo(from, to int) (out []int) {
	for n := from; n < to; n++ {
		out = append(out, n)
	}
	return out
}

// rows gives all rows of a file, with all columns, as text.
func (d *dataset) rows(f protocol.File) (out []string) {
	d.t.Helper()
	r, size, err := d.Open(d.t.Context(), f.Name)
	must(d.t, err)
	file, err := parquet.OpenFile(r, size)
	must(d.t, err)
	for _, group := range file.RowGroups() {
		rows := group.Rows()
		var some [16]parquet.Row
		for {
			n, err := rows.ReadRows(some[:])
			for _, row := range some[:n] {
				var text strings.Builder
				for i, v := range row {
					fmt.Fprintf(&text, "%s=%v ", file.Schema().Columns()[i][0], v)
				}
				out = append(out, text.String())
			}
			if errors.Is(err, io.EOF) {
				break
			}
			must(d.t, err)
		}
		must(d.t, rows.Close())
	}
	return out
}

func (d *dataset) all() (files []protocol.File, rows []string) {
	d.t.Helper()
	files, err := d.Files(d.t.Context())
	must(d.t, err)
	for _, f := range files {
		rows = append(rows, d.rows(f)...)
	}
	return files, rows
}

// TestMergeKeepsEveryRow as it is, in all columns, in the order of positions and
// apart by shard; and files of a kind stay few.
func TestMergeKeepsEveryRow(t *testing.T) {
	t.Parallel()
	d := newDataset(t)
	m := archive.Merger{Master: d}
	shards := []string{"a", "b"}
	var want []string
	random := rand.New(rand.NewPCG(1, 2))
	for n := 0; n < 700; {
		shard := shards[random.IntN(2)]
		more := 1 + random.IntN(5)
		want = append(want, d.rows(d.put(shard, upTo(n, n+more)...))...)
		n += more
		if random.IntN(20) == 0 {
			if _, err := m.Merge(t.Context(), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := m.Merge(t.Context(), false)
	must(t, err)
	files, got := d.all()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%d rows became %d, or changed", len(want), len(got))
	}
	if len(files) > 2*2*8 {
		t.Errorf("%d files are left of two shards", len(files))
	}
	for _, f := range files {
		rows := d.rows(f)
		for _, row := range rows {
			if !strings.HasPrefix(row, "ws_shard="+f.Shard+" ") {
				t.Errorf("%s holds %s", f.Name, row)
			}
		}
		if !slices.IsSortedFunc(rows, func(a, b string) int {
			return strings.Compare(between(a, "ws_position=", " "), between(b, "ws_position=", " "))
		}) {
			t.Errorf("%s is not in the order of positions", f.Name)
		}
	}
}

func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}

// TestMergeOfDoubledRows keeps one of each, an erased one before others; two
// different rows of one position both stay, since the double entry has to see them.
func TestMergeOfDoubledRows(t *testing.T) {
	t.Parallel()
	d := newDataset(t)
	d.put("a", upTo(0, 10)...)
	d.put("a", 3, 4, 4)
	other := order(5)
	other.Data = []byte(`{"id":"other","at":0}`)
	erased := order(6)
	erased.Erased = &protocol.Erased{Hash: protocol.Hash("a", &erased)}
	erased.Data, erased.PartitionKey = nil, ""
	_, err := d.Put(t.Context(), "a", func(w io.Writer) error {
		return archive.Write(w, d.def, d.logic.Run("a", []protocol.Event{other, erased}))
	})
	must(t, err)
	apart := d.put("a", 20, 21)
	m := archive.Merger{Master: d}
	if done, err := m.Merge(t.Context(), false); err != nil || done.Files != 0 {
		t.Fatalf("four files were merged: %+v, %v", done, err)
	}
	done, err := m.Merge(t.Context(), true)
	must(t, err)
	if done != (archive.Merged{Files: 3, Into: 1, Doubled: 4}) {
		t.Errorf("merging did %+v", done)
	}
	files, rows := d.all()
	if len(files) != 2 || !slices.ContainsFunc(files, func(f protocol.File) bool { return f.Name == apart.Name }) {
		t.Errorf("the files are %+v", files)
	}
	counts := map[string]int{}
	for _, row := range rows {
		counts[between(row, "ws_position=", " ")]++
		if strings.Contains(row, "ws_position=0041006.") && !strings.Contains(row, "ws_outcome=erased") {
			t.Errorf("the erased event is back: %s", row)
		}
	}
	if len(counts) != 12 || counts[order(5).Position.Key()] != 2 || len(rows) != 13 {
		t.Errorf("%d rows are left, %v", len(rows), counts)
	}
}

// TestMergeBesideOthers: who replaces a file first wins, and nothing is lost.
func TestMergeBesideOthers(t *testing.T) {
	t.Parallel()
	d := newDataset(t)
	var first protocol.File
	for n := range 9 {
		if f := d.put("a", n); n == 0 {
			first = f
		}
	}
	racing := &racingMaster{Master: d.Master}
	racing.before = func() {
		_, err := d.Replace(t.Context(), []string{first.Name}, []protocol.NewFile{{Shard: "a", Write: func(w io.Writer) error {
			return archive.Write(w, d.def, d.logic.Run("a", []protocol.Event{order(0)}))
		}}})
		must(t, err)
	}
	done, err := (&archive.Merger{Master: racing}).Merge(t.Context(), false)
	must(t, err)
	if _, rows := d.all(); len(rows) != 9 || done.Files != 9 {
		t.Errorf("%d rows are left of 9, merged %+v", len(rows), done)
	}
}

// racingMaster lets somebody else do something just before the first replacement.
type racingMaster struct {
	*memory.Master
	before func()
}

func (m *racingMaster) Replace(ctx context.Context, old []string, new []protocol.NewFile) ([]protocol.File, error) {
	if f := m.before; f != nil {
		m.before = nil
		f()
	}
	return m.Master.Replace(ctx, old, new)
}

var errDiskFull = errors.New("disk full")

// replacingFails writes all new files but the last one.
type replacingFails struct{ *memory.Master }

func (m replacingFails) Replace(ctx context.Context, old []string, new []protocol.NewFile) ([]protocol.File, error) {
	new = append(slices.Clone(new), protocol.NewFile{Shard: "a", Write: func(io.Writer) error { return errDiskFull }})
	return m.Master.Replace(ctx, old, new)
}
