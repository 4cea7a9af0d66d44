package archive_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// byKey erases the events of a partition key.
func (d *dataset) byKey(key string) *archive.Erasure {
	return &archive.Erasure{Master: d, Wanted: func(_, partitionKey string, _ bool, _ rowlogic.Identity) bool { return partitionKey == key }}
}

func never(string, int64) bool { return false }

// TestEraseLeavesOnlyThePlace: nothing of an erased event stays but where it was,
// what it counts for and, as long as it matters, its identity; all other rows are
// what they were; and files without such events are not touched.
func TestEraseLeavesOnlyThePlace(t *testing.T) {
	t.Parallel()
	d := newDataset(t)
	d.put("a", upTo(0, 40)...)
	d.put("b", upTo(40, 60)...)
	d.put("a", 61, 62, 64)
	through := map[string]protocol.Position{"a": order(29).Position, "b": order(60).Position}
	before, old := d.all()
	e := d.byKey("k1") // 1, 6, 11, ...
	counts, err := e.Count(t.Context(), through)
	must(t, err)
	if fmt.Sprint(counts) != "map[a:6 b:4]" {
		t.Errorf("counted %v", counts)
	}
	done, err := e.Erase(t.Context(), through, func(_ string, arrival int64) bool { return arrival < 10_000 })
	must(t, err)
	if fmt.Sprint(done) != fmt.Sprint(counts) {
		t.Errorf("erased %v, counted %v", done, counts)
	}
	after, now := d.all()
	if !slices.Contains(after, before[1]) || len(after) != 3 { // a's second file has no row up to a's position
		t.Errorf("the files were %v and are %v", before, after)
	}
	slices.Sort(old)
	slices.Sort(now)
	if len(old) != len(now) {
		t.Fatalf("%d rows became %d", len(old), len(now))
	}
	for i, row := range old {
		n := 0
		_, err := fmt.Sscanf(between(row, "ws_position=004", "."), "%d", &n)
		must(t, err)
		n -= 1000
		shard := between(row, "ws_shard=", " ")
		if n%5 != 1 || shard == "a" && n > 29 {
			if now[i] != row {
				t.Errorf("event %d was %s\nand is %s", n, row, now[i])
			}
			continue
		}
		wantErased(t, n, row, now[i])
	}
	if counts, err := e.Count(t.Context(), through); err != nil || len(counts) != 0 {
		t.Errorf("a second time there are %v to erase, %v", counts, err)
	}
}

func wantErased(t *testing.T, n int, before, after string) {
	t.Helper()
	keep := []string{"ws_shard", "ws_position", "ws_arrival", "ws_aggregated", "ws_stray", "ws_hash_hi", "ws_hash_lo", "ws_rowlogic"}
	if n >= 10 {
		keep = append(keep, "ws_id_hi", "ws_id_lo")
	}
	for _, field := range strings.Fields(after) {
		name, value, _ := strings.Cut(field, "=")
		switch {
		case slices.Contains(keep, name):
			if was := between(before, name+"=", " "); value != was {
				t.Errorf("event %d: %s was %s and is %s", n, name, was, value)
			}
		case name == "ws_outcome":
			if value != "erased" {
				t.Errorf("event %d is %s", n, value)
			}
		case value != "" && value != "<null>":
			t.Errorf("of event %d, %s is still there", n, field)
		}
	}
	e := order(n)
	for _, secret := range []string{base64.StdEncoding.EncodeToString(e.Data), "=" + e.PartitionKey + " "} {
		if strings.Contains(after, secret) {
			t.Errorf("of event %d, %s is still there", n, secret)
		}
	}
}

// TestErasedEventsAreReadAsSuch: their hash is the one they had, also when a new row
// logic makes their rows anew.
func TestErasedEventsAreReadAsSuch(t *testing.T) {
	t.Parallel()
	d := newDataset(t)
	d.put("a", upTo(0, 12)...)
	_, err := d.byKey("k3").Erase(t.Context(), map[string]protocol.Position{"a": order(12).Position}, never)
	must(t, err)
	files, once := d.all()
	var events []protocol.Event
	d.scan(t, files[0], func(row *archive.Stored) {
		e := row.Event
		e.Data = slices.Clone(e.Data)
		events = append(events, e)
	})
	for i := range events {
		whole := order(i)
		if erased := events[i].Erased != nil; erased != (i%5 == 3) {
			t.Errorf("event %d: erased is %t", i, erased)
		}
		if protocol.Hash("a", &events[i]) != protocol.Hash("a", &whole) {
			t.Errorf("event %d has another hash", i)
		}
	}
	again, err := d.Put(t.Context(), "a", func(w io.Writer) error { return archive.Write(w, d.def, d.logic.Run("a", events)) })
	must(t, err)
	if rows := d.rows(again); !slices.Equal(rows, once) {
		t.Errorf("made anew, the rows are\n%s\nwere\n%s", strings.Join(rows, "\n"), strings.Join(once, "\n"))
	}
}

func (d *dataset) scan(t *testing.T, f protocol.File, fn func(*archive.Stored)) {
	t.Helper()
	r, size, err := d.Open(t.Context(), f.Name)
	must(t, err)
	must(t, archive.Scan(r, size, func(row *archive.Stored) error { fn(row); return nil }))
}

// TestEraseBesideMerging looks again when files were merged under it.
func TestEraseBesideMerging(t *testing.T) {
	t.Parallel()
	d := newDataset(t)
	for n := range 10 {
		d.put("a", n)
	}
	racing := &racingMaster{Master: d.Master}
	racing.before = func() {
		_, err := (&archive.Merger{Master: d.Master}).Merge(t.Context(), false)
		must(t, err)
	}
	e := d.byKey("k2")
	e.Master = racing
	counts, err := e.Erase(t.Context(), map[string]protocol.Position{"a": order(10).Position}, never)
	if err != nil || counts["a"] != 2 {
		t.Fatalf("erased %v, %v", counts, err)
	}
	_, rows := d.all()
	erased := 0
	for _, row := range rows {
		if strings.Contains(row, "ws_outcome=erased") {
			erased++
		}
	}
	if len(rows) != 10 || erased != 2 {
		t.Errorf("%d rows, %d of them erased", len(rows), erased)
	}
}

// TestAFailingEraseChangesNothing.
func TestAFailingEraseChangesNothing(t *testing.T) {
	t.Parallel()
	d := newDataset(t)
	d.put("a", upTo(0, 5)...)
	d.put("a", upTo(5, 10)...)
	before, old := d.all()
	e := d.byKey("k1")
	e.Master = replacingFails{d.Master}
	if _, err := e.Erase(t.Context(), map[string]protocol.Position{"a": order(10).Position}, never); !errors.Is(err, errDiskFull) {
		t.Errorf("it gave %v", err)
	}
	if files, rows := d.all(); !slices.Equal(files, before) || !slices.Equal(rows, old) {
		t.Errorf("the files are %v, were %v", files, before)
	}
}

// erasures are in memory.
type erasures map[string]map[protocol.Position]protocol.Erased

func (e erasures) Add(_ context.Context, shard string, erased map[protocol.Position]protocol.Erased) error {
	if e[shard] == nil {
		e[shard] = map[protocol.Position]protocol.Erased{}
	}
	maps.Copy(e[shard], erased)
	return nil
}

func (e erasures) In(_ context.Context, shard string, first, last protocol.Position) (map[protocol.Position]protocol.Erased, error) {
	out := maps.Clone(e[shard])
	maps.DeleteFunc(out, func(p protocol.Position, _ protocol.Erased) bool { return first.After(p) || p.After(last) })
	return out, nil
}

// ordersLog is a log of orders from 0 on.
type ordersLog int

func (l ordersLog) Shards(context.Context) ([]protocol.Shard, error) { return nil, nil }

func (l ordersLog) Read(_ context.Context, _ string, after protocol.Position, _ int) (page protocol.Page, err error) {
	for n := range int(l) {
		if e := order(n); e.Position.After(after) {
			page.Events = append(page.Events, e)
		}
	}
	page.AtTip = len(page.Events) == 0
	return page, nil
}

// TestARepairDoesNotBringErasedEventsBack: when files are lost and the log still holds
// what was erased, the rows that are written from it are those that were there.
func TestARepairDoesNotBringErasedEventsBack(t *testing.T) {
	t.Parallel()
	d := newDataset(t)
	load := protocol.LoadShard(strings.Repeat("ab", 32))
	d.put("a", upTo(0, 25)...)
	d.put("a", upTo(25, 40)...)
	d.put(load, upTo(0, 5)...)
	e := d.byKey("k1")
	remembered := erasures{}
	e.Erasures = remembered
	_, err := e.Erase(t.Context(), map[string]protocol.Position{"a": order(29).Position, load: order(5).Position}, func(_ string, arrival int64) bool { return arrival < 10_000 })
	must(t, err)
	if len(remembered) != 1 || len(remembered["a"]) != 6 {
		t.Errorf("remembered are %v", remembered)
	}
	var want []string
	_, rows := d.all()
	for _, row := range rows {
		if strings.Contains(row, "ws_shard=a ") {
			want = append(want, row)
		}
	}
	lost := newDataset(t)
	a := archive.Archiver{Definition: d.def, Logic: d.logic, Log: ordersLog(41), Master: lost.Master, Erasures: remembered}
	must(t, a.Repair(t.Context(), "a", []protocol.Span{{Through: order(30).Position}, {After: order(30).Position, Through: order(39).Position}}))
	_, got := lost.all()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("from the log the rows are\n%s\nwere\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestWhatCannotBeRememberedIsNotErased.
func TestWhatCannotBeRememberedIsNotErased(t *testing.T) {
	t.Parallel()
	d := newDataset(t)
	d.put("a", upTo(0, 5)...)
	before, old := d.all()
	e := d.byKey("k1")
	e.Erasures = forgetful{}
	if _, err := e.Erase(t.Context(), map[string]protocol.Position{"a": order(10).Position}, never); !errors.Is(err, errDiskFull) {
		t.Errorf("it gave %v", err)
	}
	if files, rows := d.all(); !slices.Equal(files, before) || !slices.Equal(rows, old) {
		t.Errorf("the files are %v, were %v", files, before)
	}
}

type forgetful struct{ erasures }

func (forgetful) Add(context.Context, string, map[protocol.Position]protocol.Erased) error {
	return errDiskFull
}
