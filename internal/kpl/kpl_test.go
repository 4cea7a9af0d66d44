package kpl_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/watershed-data/watershed/internal/kpl"
	"github.com/watershed-data/watershed/internal/kpl/kpltest"
)

// golden is a record that somebody else's producer made; testdata/make.py says how.
type golden struct {
	data []byte
	want []kpl.Record // nil: a plain record
}

func readGolden(t testing.TB, name string) []golden {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out []golden
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		record, content, _ := strings.Cut(lines.Text(), " ")
		var users [][3]*string
		if err := json.Unmarshal([]byte(content), &users); err != nil {
			t.Fatal(err)
		}
		g := golden{data: decode(t, record)}
		for _, u := range users {
			r := kpl.Record{PartitionKey: *u[0], Data: decode(t, *u[2])}
			if u[1] != nil {
				r.ExplicitHashKey = *u[1]
			}
			g.want = append(g.want, r)
		}
		out = append(out, g)
	}
	if err := lines.Err(); err != nil || len(out) < 8 {
		t.Fatalf("%s has %d records: %v", name, len(out), err)
	}
	return out
}

func decode(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var goldenFiles = []string{"aws-kinesis-agg-1.2.3.txt", "aiokpl-0.2.0.txt"}

func equal(a, b kpl.Record) bool {
	return a.PartitionKey == b.PartitionKey && a.ExplicitHashKey == b.ExplicitHashKey && bytes.Equal(a.Data, b.Data)
}

func TestAggregatesOfOthers(t *testing.T) {
	t.Parallel()
	for _, name := range goldenFiles {
		for i, g := range readGolden(t, name) {
			got, ok := kpl.Split(g.data)
			if ok != (g.want != nil) || !slices.EqualFunc(got, g.want, equal) {
				t.Errorf("%s, record %d: %v %q, want %q", name, i, ok, got, g.want)
			}
		}
	}
}

// A bit that flips anywhere makes a plain record: nobody may see half of an
// aggregate, or other events than were put.
func TestDamagedAggregatesArePlain(t *testing.T) {
	t.Parallel()
	for _, name := range goldenFiles {
		data := readGolden(t, name)[2].data
		for i := range data {
			for _, broken := range [][]byte{flip(data, i), data[:i], slices.Concat(data[:i], data[i+1:]), slices.Concat(data, data[:i+1])} {
				if got, ok := kpl.Split(broken); ok {
					t.Fatalf("%s with byte %d damaged gives %q", name, i, got)
				}
			}
		}
	}
}

func flip(data []byte, i int) []byte {
	data = slices.Clone(data)
	data[i] ^= 1
	return data
}

// message builds a message of the format field by field.
type message []byte

func (m message) bytes(number protowire.Number, value string) message {
	return protowire.AppendString(protowire.AppendTag(m, number, protowire.BytesType), value)
}

func (m message) varint(number protowire.Number, value uint64) message {
	return protowire.AppendVarint(protowire.AppendTag(m, number, protowire.VarintType), value)
}

func (m message) fixed(number protowire.Number) message {
	return protowire.AppendFixed64(protowire.AppendTag(m, number, protowire.Fixed64Type), 1)
}

func TestWhatIsAnAggregate(t *testing.T) {
	t.Parallel()
	var none message
	record := none.varint(1, 0).bytes(3, "d")
	nested := none.bytes(1, "k").bytes(3, string(record))
	for name, tt := range map[string]struct {
		message message
		want    []kpl.Record // nil: a plain record
	}{
		"a record":                         {none.bytes(1, "k").bytes(3, string(record)), []kpl.Record{{PartitionKey: "k", Data: []byte("d")}}},
		"tables behind the records":        {none.bytes(3, string(record)).bytes(1, "k"), []kpl.Record{{PartitionKey: "k", Data: []byte("d")}}},
		"an explicit hash key":             {none.bytes(1, "k").bytes(2, "17").bytes(3, string(record.varint(2, 0))), []kpl.Record{{PartitionKey: "k", ExplicitHashKey: "17", Data: []byte("d")}}},
		"fields to come":                   {none.varint(9, 5).bytes(1, "k").fixed(10).bytes(3, string(record.bytes(4, "tag").varint(77, 1))).bytes(11, "x"), []kpl.Record{{PartitionKey: "k", Data: []byte("d")}}},
		"fields of other types":            {none.varint(1, 5).bytes(1, "k").varint(3, 1).bytes(3, string(record.bytes(1, "x").varint(3, 2))), []kpl.Record{{PartitionKey: "k", Data: []byte("d")}}},
		"the last of repeated fields":      {none.bytes(1, "j").bytes(1, "k").bytes(3, string(record.varint(1, 1).bytes(3, "e"))), []kpl.Record{{PartitionKey: "k", Data: []byte("e")}}},
		"an aggregate in an aggregate":     {none.bytes(1, "k").bytes(3, string(none.varint(1, 0).bytes(3, string(kpltest.Seal(nested))))), []kpl.Record{{PartitionKey: "k", Data: kpltest.Seal(nested)}}},
		"empty data and an empty key":      {none.bytes(1, "").bytes(3, string(none.varint(1, 0).bytes(3, ""))), []kpl.Record{{}}},
		"nothing":                          {none, nil},
		"no record":                        {none.bytes(1, "k"), nil},
		"an index behind the table":        {none.bytes(1, "k").bytes(3, string(record.varint(1, 1))), nil},
		"a hash key behind the table":      {none.bytes(1, "k").bytes(3, string(record.varint(2, 0))), nil},
		"an index far behind the table":    {none.bytes(1, "k").bytes(3, string(record.varint(1, 1<<64-1))), nil},
		"no key":                           {none.bytes(1, "k").bytes(3, string(none.bytes(3, "d"))), nil},
		"no data":                          {none.bytes(1, "k").bytes(3, string(none.varint(1, 0))), nil},
		"one record of two is broken":      {none.bytes(1, "k").bytes(3, string(record)).bytes(3, "\xff"), nil},
		"a key that is not UTF-8":          {none.bytes(1, "\xff").bytes(3, string(record)), nil},
		"a hash key that is not UTF-8":     {none.bytes(1, "k").bytes(2, "\xff").bytes(3, string(record)), nil},
		"a message cut short":              {none.bytes(1, "k").bytes(3, string(record))[:8], nil},
		"a length behind the end":          {append(none.bytes(1, "k"), 0x1a, 0x7f, 0), nil},
		"a length that is negative as int": {append(none.bytes(1, "k"), 0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), nil},
		"a field of no type":               {append(none.bytes(1, "k").bytes(3, string(record)), 0x0f), nil},
		"a field without a number":         {append(none.bytes(1, "k").bytes(3, string(record)), 0x00), nil},
		"groups within groups":             {append(none.bytes(1, "k").bytes(3, string(record)), bytes.Repeat([]byte{0x2b}, 100_000)...), nil},
	} {
		data := kpltest.Seal(tt.message)
		got, ok := kpl.Split(data)
		if ok != (tt.want != nil) || !slices.EqualFunc(got, tt.want, equal) {
			t.Errorf("%s: %v %q, want %q", name, ok, got, tt.want)
		}
	}
	for _, plain := range [][]byte{nil, {}, []byte("{}"), {0xF3, 0x89, 0x9A, 0xC2}, kpltest.Seal(none)[1:]} {
		if got, ok := kpl.Split(plain); ok {
			t.Errorf("%q gives %q", plain, got)
		}
	}
}

// What appends to one event's data must not write into the next one's.
func TestEventsDoNotOverlap(t *testing.T) {
	t.Parallel()
	got, ok := kpl.Split(kpltest.Join(kpl.Record{PartitionKey: "k", Data: []byte("one")}, kpl.Record{PartitionKey: "k", Data: []byte("two")}))
	if !ok || len(got) != 2 {
		t.Fatal(got, ok)
	}
	_ = append(got[0].Data, "xxxxxxxxxx"...)
	if string(got[1].Data) != "two" {
		t.Errorf("the second record became %q", got[1].Data)
	}
}

func FuzzSplit(f *testing.F) {
	for _, name := range goldenFiles {
		for _, g := range readGolden(f, name) {
			f.Add(g.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		check(t, data)
		// A fuzzer does not find digests: give it a good one.
		if len(data) > 20 {
			check(t, kpltest.Seal(data[4:len(data)-16]))
		}
	})
}

// check makes sure that what comes out was in, and comes out again if put back.
func check(t *testing.T, data []byte) {
	before := bytes.Clone(data)
	got, ok := kpl.Split(data)
	if !bytes.Equal(data, before) {
		t.Fatal("the data was changed")
	}
	if ok != (len(got) > 0) {
		t.Fatalf("%v with %d records", ok, len(got))
	}
	size := 0
	for _, r := range got {
		size += len(r.Data)
		if r.Data == nil || !utf8.ValidString(r.PartitionKey) || !bytes.Contains(data, r.Data) {
			t.Fatalf("record %q of %q", r, data)
		}
	}
	if size > len(data) {
		t.Fatalf("%d bytes came out of %d", size, len(data))
	}
	if ok {
		if again, ok := kpl.Split(kpltest.Join(got...)); !ok || !slices.EqualFunc(again, got, equal) {
			t.Fatalf("%q came back as %q", got, again)
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	var users []kpl.Record
	for i := range 500 {
		users = append(users, kpl.Record{PartitionKey: strings.Repeat("k", 1+i%7), Data: make([]byte, 100)})
	}
	data := kpltest.Join(users...)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if got, ok := kpl.Split(data); !ok || len(got) != 500 {
			b.Fatal(ok)
		}
	}
}
