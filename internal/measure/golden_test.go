package measure_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/measure"
)

// The golden vectors were made by other programs: exact fractions for buckets, C's
// xxHash for hashes. A machine that gives others adds up other states than the
// rest of the pipeline.

func vectors(t *testing.T, file string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(strings.TrimSpace(line), " "); fields[0] != "#" {
			out = append(out, fields)
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no vectors", file)
	}
	return out
}

func TestGoldenBuckets(t *testing.T) {
	t.Parallel()
	for _, f := range vectors(t, "buckets.txt") {
		kind, v := column.Int, column.Value{}
		var err error
		if f[1] == "float" {
			kind = column.Float
			v.Float, err = strconv.ParseFloat(f[2], 64)
		} else {
			v.Int, err = strconv.ParseInt(f[2], 10, 64)
		}
		if err != nil {
			t.Fatal(err)
		}
		of, err := measure.NewBuckets(column.Type{Kind: kind}, f[0])
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := of.Of(v); !ok || fmt.Sprint(n) != f[3] {
			t.Errorf("%s lies in bucket %d (%t), want %s", strings.Join(f[:3], " "), n, ok, f[3])
		}
	}
}

func TestGoldenHashes(t *testing.T) {
	t.Parallel()
	for _, f := range vectors(t, "hashes.txt") {
		kind, v := column.String, column.Value{}
		text := strings.Join(f[1:len(f)-1], " ")
		var err error
		if f[0] == "int" {
			kind = column.Int
			v.Int, err = strconv.ParseInt(text, 10, 64)
		} else {
			v.Str, err = strconv.Unquote(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := measure.Hash(column.Type{Kind: kind}, v); fmt.Sprint(got) != f[len(f)-1] {
			t.Errorf("the hash of %s %s is %d, want %s", f[0], text, got, f[len(f)-1])
		}
	}
}

// What no bucket can tell apart has none, and what is no error makes none.
func TestWhatHasNoBuckets(t *testing.T) {
	t.Parallel()
	of, err := measure.NewBuckets(column.Type{Kind: column.Float}, "0.01")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []float64{1.1e18, 0.9e-18, -2e18, 1e300, 5e-324} {
		if n, ok := of.Of(column.Value{Float: x}); ok {
			t.Errorf("%g lies in bucket %d", x, n)
		}
	}
	for _, bad := range []string{"", "0", "1", "0.0", "0.", "1.5", "-0.1", "x"} {
		if _, err := measure.NewBuckets(column.Type{Kind: column.Int}, bad); err == nil {
			t.Errorf("there are buckets with the relative error %q", bad)
		}
	}
}
