package main

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPercentilesAreValuesThatWereMeasured(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n             int // the values are 1 to n
		p50, p99, max float64
	}{
		{1, 1, 1, 1},
		{2, 1, 2, 2},
		{3, 2, 3, 3},
		{99, 50, 99, 99},
		{100, 50, 99, 100},
		{1000, 500, 990, 1000},
	} {
		values := make([]float64, c.n)
		for i := range values {
			values[i] = float64(c.n - i)
		}
		var r report
		r.add("part", "name", "ms", values...)
		if f := r.Figures[0]; f.N != c.n || f.Min != 1 || f.P50 != c.p50 || f.P99 != c.p99 || f.Max != c.max {
			t.Errorf("of 1 to %d: %+v, want p50 %v, p99 %v, max %v", c.n, f, c.p50, c.p99, c.max)
		}
	}
}

func TestTimesAreMilliseconds(t *testing.T) {
	t.Parallel()
	var r report
	r.addTimes("part", "name", 1500*time.Microsecond)
	if f := r.Figures[0]; f.Unit != "ms" || f.Max != 1.5 {
		t.Errorf("1.5 ms is reported as %v %s", f.Max, f.Unit)
	}
}

func TestNumbersKeepThreeDigits(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{123456: "123456", 99.94: "99.9", 1.2345: "1.23", 0.2345: "0.234", 0: "0.000"} {
		if got := plain(x); got != want {
			t.Errorf("%v is printed as %s, want %s", x, got, want)
		}
	}
}

// The same figures in both formats: the table for people, JSON for machines.
func TestFormats(t *testing.T) {
	t.Parallel()
	r := report{Began: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC), Machine: machine{Cores: 2, System: "linux/amd64", Go: "go1.26"}}
	r.add("disk", "fsync", "ms", 0.25)
	r.add("query", "one hour", "ms", 3, 1, 2)
	var table, object strings.Builder
	if err := r.writeTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 cores, unknown CPU, linux/amd64, go1.26, load average unknown", "disk", "0.250", "one hour", "3  1.00  2.00  3.00  3.00  ms"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
	if err := r.writeJSON(&object); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal([]byte(object.String()), &back); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back.Figures, r.Figures) || !back.Began.Equal(r.Began) || back.Machine != r.Machine {
		t.Errorf("JSON gives %+v, want %+v", back, r)
	}
}

// Events are visible at the first answer after their acknowledgement that has
// reached them in every shard.
func TestWatch(t *testing.T) {
	t.Parallel()
	start := time.Now()
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	w := &watch{}
	w.acknowledge(call{due: at(0), acked: at(10), last: positions{"a": "9", "b": "20"}})
	for _, c := range []struct {
		at   int
		have positions
		left int
		why  string
	}{
		{5, positions{"a": "9", "b": "20"}, 1, "the answer came before the acknowledgement"},
		{15, positions{"a": "9", "b": "9"}, 1, "9 comes before 20"},
		{16, positions{"b": "20"}, 1, "nothing of shard a is committed"},
		{17, positions{"a": "10", "b": "20"}, 0, "both shards are there"},
		{18, positions{"a": "10", "b": "20"}, 0, "it is counted once"},
	} {
		if left := w.answered(at(c.at), c.have); left != c.left {
			t.Errorf("after %d ms %d calls are waited for, want %d: %s", c.at, left, c.left, c.why)
		}
	}
	if !slices.Equal(w.visible, []time.Duration{7 * time.Millisecond}) || !slices.Equal(w.acked, []time.Duration{10 * time.Millisecond}) {
		t.Errorf("visible after %v, acknowledged after %v, want 7ms and 10ms", w.visible, w.acked)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all, err := choose(nil)
	if err != nil || len(all) != len(parts) {
		t.Errorf("without names %d parts are measured, want all %d (%v)", len(all), len(parts), err)
	}
	some, err := choose([]string{"batch", "throughput"})
	if err != nil || len(some) != 2 || some[0].name != "throughput" {
		t.Errorf("two names give %v, %v", some, err)
	}
	if _, err := choose([]string{"batch", "speed"}); err == nil || !strings.Contains(err.Error(), "visible") {
		t.Errorf("a name that is none gives %v, want an error that names the parts", err)
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"ready: pipeline sales at http://127.0.0.1:4580, data in /tmp/x\n": "http://127.0.0.1:4580",
		"": "",
	} {
		if got := endpoint(line); got != want {
			t.Errorf("of %q the endpoint is %q, want %q", line, got, want)
		}
	}
}

func TestPerEvent(t *testing.T) {
	t.Parallel()
	if got := perEvent(throughputEvents * 2 * time.Microsecond); math.Abs(got-2) > 1e-9 {
		t.Errorf("2 µs an event are reported as %v", got)
	}
}
