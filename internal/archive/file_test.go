package archive_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/expr"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// rows makes a batch of rows without columns.
func rows(shard string, events ...protocol.Event) *rowlogic.Batch {
	n := len(events)
	b := &rowlogic.Batch{
		Shard: shard, Events: events, Outcome: make([]rowlogic.Outcome, n),
		Reason: make([]string, n), Detail: make([]string, n), Hash: make([]uint64, n),
	}
	for i := range events {
		b.Outcome[i], b.Hash[i] = rowlogic.Accepted, protocol.Hash(shard, &events[i])
	}
	return b
}

func event(seq int, data string) protocol.Event {
	return protocol.Event{Position: protocol.Position{Seq: fmt.Sprint(seq)}, PartitionKey: fmt.Sprintf("key %d é\x00", seq), Arrival: int64(seq), Data: []byte(data)}
}

// scan reads all rows of a file back.
func scan(t *testing.T, file []byte) []archive.Stored {
	t.Helper()
	var out []archive.Stored
	err := archive.Scan(bytes.NewReader(file), int64(len(file)), func(row *archive.Stored) error {
		kept := *row
		kept.Data = bytes.Clone(row.Data)
		out = append(out, kept)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestScanGivesEventsBack is what verification stands on: the master dataset
// holds every event as it was sent.
func TestScanGivesEventsBack(t *testing.T) {
	t.Parallel()
	events := []protocol.Event{
		event(1, ""), event(2, "plain"), event(3, "\xff\xfe\x00 no UTF-8"), event(4, strings.Repeat("x", 1<<20)),
		{Position: protocol.Position{Seq: strings.Repeat("9", 56), Sub: 7}, Arrival: math.MinInt64, Aggregated: true, Stray: true},
		{Position: protocol.Position{Seq: "90"}, Aggregated: true},
		{Position: protocol.Position{Seq: "91"}, Stray: true},
	}
	for i := range 5000 { // more than a page and a chunk
		events = append(events, event(1000+i, strings.Repeat(fmt.Sprint(i), i%50)))
	}
	var file bytes.Buffer
	if err := archive.Write(&file, &definition.Definition{}, rows("a", events[:3]...), rows("a"), rows("b", events[3:]...)); err != nil {
		t.Fatal(err)
	}
	got := scan(t, file.Bytes())
	if len(got) != len(events) {
		t.Fatalf("%d rows came back of %d events", len(got), len(events))
	}
	for i, row := range got {
		want := archive.Stored{Shard: "b", Event: events[i]}
		if i < 3 {
			want.Shard = "a"
		}
		if row.Shard != want.Shard || !bytes.Equal(row.Data, want.Data) || row.Position != want.Position ||
			row.PartitionKey != want.PartitionKey || row.Arrival != want.Arrival || row.Aggregated != want.Aggregated || row.Stray != want.Stray {
			t.Fatalf("row %d is %.100v, want %.100v", i, row, want)
		}
	}
}

// TestScanStops hands back the caller's own error.
func TestScanStops(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	if err := archive.Write(&file, &definition.Definition{}, rows("a", event(1, "x"), event(2, "y"))); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	n := 0
	err := archive.Scan(bytes.NewReader(file.Bytes()), int64(file.Len()), func(*archive.Stored) error { n++; return enough })
	if err != enough || n != 1 {
		t.Errorf("the scan went on for %d rows and gave %v", n, err)
	}
}

// TestScanRefusesDamage gives an error for a file that is not what it should be,
// and never fewer rows.
func TestScanRefusesDamage(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	if err := archive.Write(&file, &definition.Definition{}, rows("a", event(1, "x"))); err != nil {
		t.Fatal(err)
	}
	whole := file.Bytes()
	newer := bytes.Replace(whole, []byte(archive.FormatKey+"\x18\x01"+archive.Format), []byte(archive.FormatKey+"\x18\x01"+"9"), 1)
	for name, bad := range map[string][]byte{"empty": nil, "cut": whole[:len(whole)-9], "text": []byte("hello"), "newer": newer} {
		if err := archive.Scan(bytes.NewReader(bad), int64(len(bad)), func(*archive.Stored) error { return nil }); err == nil {
			t.Errorf("%s: the file was read without an error", name)
		}
	}
}

// TestFileHasTheOneSchema pins what Firehose, Glue, Spark and Athena are told of
// the master dataset, and that values land under their own names.
func TestFileHasTheOneSchema(t *testing.T) {
	t.Parallel()
	kinds := []column.Type{
		{Kind: column.String}, {Kind: column.Int}, {Kind: column.Decimal, Precision: 12, Scale: 2},
		{Kind: column.Timestamp}, {Kind: column.Bool}, {Kind: column.Date}, {Kind: column.Float},
	}
	def := &definition.Definition{Generation: "g7", Views: []definition.View{{Every: definition.Hour}, {Every: definition.None}, {Every: definition.Month}, {Every: definition.Hour}}}
	def.Views[0].Name, def.Views[0].Where = "v", &expr.Expr{}
	def.Views[2].Measures = []definition.Measure{
		{Func: definition.Distinct, Column: "c_string", Type: kinds[0], K: 16}, {Func: definition.Quantiles, Column: "c_decimal", Type: kinds[2], Error: "0.01"},
	}
	b := rows("s", event(5, "x"), event(6, "y"))
	b.Outcome[1], b.Reason[1], b.Detail[1] = rowlogic.Rejected, "not JSON", "at byte 1"
	b.Hash[0] = 0xfedcba9876543210
	b.ID = []rowlogic.Identity{{Hi: math.MaxUint64, Lo: 7}, {}}
	b.Events[0].Aggregated, b.Events[1].Stray = true, true
	b.Times = map[definition.Grain]*column.Vector{}
	for i, g := range []definition.Grain{definition.Hour, definition.Month} {
		b.Times[g] = column.NewVector(column.Type{Kind: column.Timestamp}, 2)
		b.Times[g].Set(0, column.Value{Int: int64(100 + i)})
	}
	b.Inputs = map[string]*column.Vector{}
	for i, in := range def.Inputs() {
		b.Inputs[in.Name] = column.NewVector(in.Type, 2)
		b.Inputs[in.Name].Set(0, column.Value{Int: int64(i - 1)})
	}
	b.Inputs["ws_where_v"].Set(0, column.Value{Int: 1})
	for i, k := range kinds {
		def.Columns = append(def.Columns, definition.Column{Name: "c_" + k.Kind.String(), Type: k})
		v := column.NewVector(k, 2)
		v.Set(0, column.Value{Int: int64(i), Str: "text", Float: 0.5})
		if k.Kind == column.Bool {
			v.Set(0, column.Value{Int: 1})
		}
		b.Columns = append(b.Columns, v)
	}
	var file bytes.Buffer
	if err := archive.Write(&file, def, b); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if g, _ := f.Lookup(archive.GenerationKey); g != "g7" {
		t.Errorf("the file is of generation %q", g)
	}
	const want = `message rows {
	required binary ws_shard (STRING);
	required binary ws_position (STRING);
	required binary ws_partition_key (STRING);
	required int64 ws_arrival (INT(64,true));
	required boolean ws_aggregated;
	required boolean ws_stray;
	required binary ws_raw (STRING);
	required binary ws_outcome (STRING);
	optional binary ws_reason (STRING);
	optional binary ws_detail (STRING);
	required int64 ws_hash_hi (INT(64,true));
	required int64 ws_hash_lo (INT(64,true));
	optional int64 ws_id_hi (INT(64,true));
	optional int64 ws_id_lo (INT(64,true));
	required int32 ws_rowlogic (INT(32,true));
	optional int64 ws_time_1h (INT(64,true));
	optional int64 ws_time_1mo (INT(64,true));
	optional int64 ws_distinct_c_string (INT(64,true));
	optional int64 ws_bucket_c_decimal_0_01 (INT(64,true));
	optional boolean ws_where_v;
	optional binary c_string (STRING);
	optional int64 c_int (INT(64,true));
	optional int64 c_decimal (INT(64,true));
	optional int64 c_timestamp (INT(64,true));
	optional boolean c_bool;
	optional int32 c_date (INT(32,true));
	optional double c_float;
}`
	if got := f.Schema().String(); got != want {
		t.Errorf("the schema is\n%s\nwant\n%s", got, want)
	}
	r := parquet.NewReader(f)
	defer func() { _ = r.Close() }()
	for i, want := range [][]any{
		{"s", "0015.0000000000", "key 5 é\x00", int64(5), true, false, "eA==", "accepted", nil, nil, int64(0xfedcba98), int64(0x76543210), int64(-1), int64(7), int32(definition.RowLogicVersion), int64(100), int64(101), int64(-1), int64(0), true, "text", int64(1), int64(2), int64(3), true, int32(5), 0.5},
		{"s", "0016.0000000000", "key 6 é\x00", int64(6), false, true, "eQ==", "rejected", "not JSON", "at byte 1", int64(b.Hash[1] >> 32), int64(b.Hash[1] & math.MaxUint32), nil, nil, int32(definition.RowLogicVersion), nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
	} {
		rows := make([]parquet.Row, 1)
		if n, err := r.ReadRows(rows); n != 1 || err != nil && err != io.EOF {
			t.Fatal(n, err)
		}
		var got []any
		for _, v := range rows[0] {
			got = append(got, plain(v))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("row %d is\n%v, want\n%v", i, got, want)
		}
	}
}

func plain(v parquet.Value) any {
	switch v.Kind() {
	case parquet.ByteArray:
		return string(v.ByteArray())
	case parquet.Int64:
		return v.Int64()
	case parquet.Int32:
		return v.Int32()
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Double:
		return v.Double()
	}
	return nil
}

// TestWriteRefusesForeignBatch: values of another definition under this one's
// TestEncodingsEveryEngineReads: some that Parquet has are read wrong by Spark 3.5.6,
// and not by all other engines.
func TestEncodingsEveryEngineReads(t *testing.T) {
	t.Parallel()
	var events []protocol.Event
	for i := range 3000 {
		events = append(events, event(i, strings.Repeat("x", i%700)))
	}
	b := rows("s", events...)
	def := &definition.Definition{Columns: []definition.Column{{Name: "word", Type: column.Type{Kind: column.String}}}}
	words := column.NewVector(def.Columns[0].Type, len(events))
	for i := range events {
		words.Set(i, column.Value{Str: strings.Repeat(fmt.Sprint(i), 300)}) // more than a dictionary takes
	}
	b.Columns = append(b.Columns, words)
	var file bytes.Buffer
	if err := archive.Write(&file, def, b); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Metadata().RowGroups[0].Columns {
		for _, e := range c.MetaData.Encoding {
			switch e {
			case format.Plain, format.RLE, format.RLEDictionary:
			default:
				t.Errorf("column %v is encoded as %s", c.MetaData.PathInSchema, e)
			}
		}
	}
}

// names would be silent nonsense.
func TestWriteRefusesForeignBatch(t *testing.T) {
	t.Parallel()
	text := column.Type{Kind: column.String}
	for name, def := range map[string]*definition.Definition{
		"columns": {Columns: []definition.Column{{Name: "c", Type: text}}},
		"grains":  {Views: []definition.View{{Every: definition.Day}}},
	} {
		if err := archive.Write(io.Discard, def, rows("s", event(1, "x"))); err == nil {
			t.Errorf("a batch without the definition's %s was written", name)
		}
	}
}
