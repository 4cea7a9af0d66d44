package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is everything that is printed.
type report struct {
	Began   time.Time `json:"began"`
	Machine machine   `json:"machine"`
	Figures []figure  `json:"figures"`
}

// figure is one measured quantity. Percentiles are values that were measured:
// the smallest one that at least that share of the values does not exceed.
type figure struct {
	Part string  `json:"part"`
	Name string  `json:"name"`
	Unit string  `json:"unit"`
	N    int     `json:"n"`
	Min  float64 `json:"min"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
}

// add reports the values of one quantity, one for each time it was measured.
func (r *report) add(part, name, unit string, values ...float64) {
	f := figure{Part: part, Name: name, Unit: unit, N: len(values)}
	if len(values) > 0 {
		slices.Sort(values)
		f.Min, f.P50, f.P99, f.Max = values[0], percentile(values, 50), percentile(values, 99), values[len(values)-1]
	}
	r.Figures = append(r.Figures, f)
}

// addTimes reports durations, in milliseconds.
func (r *report) addTimes(part, name string, times ...time.Duration) {
	values := make([]float64, len(times))
	for i, t := range times {
		values[i] = float64(t) / float64(time.Millisecond)
	}
	r.add(part, name, "ms", values...)
}

// percentile gives the smallest value that p per cent of the sorted values do
// not exceed.
func percentile(sorted []float64, p int) float64 {
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n%s\n", r.Began.Format(time.RFC3339), r.Machine)
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	part := ""
	for _, f := range r.Figures {
		if f.Part != part {
			part = f.Part
			// A cell that ends without a tab is not part of a column, so it is free of AlignRight.
			fmt.Fprintf(out, "\nn\tmin\tp50\tp99\tmax\t\t  %s\n", part)
		}
		fmt.Fprintf(out, "%d\t%s\t%s\t%s\t%s\t%s\t  %s\n", f.N, plain(f.Min), plain(f.P50), plain(f.P99), plain(f.Max), f.Unit, f.Name)
	}
	_ = out.Flush() // into memory: cannot fail
	_, err := io.WriteString(w, text.String())
	return err
}

// plain prints three digits that count, and no power of ten.
func plain(x float64) string {
	digits := 0
	for limit := 100.0; digits < 3 && x < limit; limit /= 10 {
		digits++
	}
	return strconv.FormatFloat(x, 'f', digits, 64)
}
