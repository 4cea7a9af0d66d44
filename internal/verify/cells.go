package verify

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/oracle"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/view"
)

// texts are the cells of a view as the merged answer has them: key to the
// texts of the measures' results. They are joined, since there are many.
type texts map[string]string

// separator stands between results; none contains it, texts are quoted.
const separator = "\x00"

// gather reads the merged answer, as far as it is this run's part.
func (r *run) gather(ctx context.Context) (map[string]texts, *protocol.Snapshot, error) {
	merged := map[string]texts{}
	readers := map[string]*cellReader{}
	for _, v := range r.views {
		merged[v.Name] = texts{}
		readers[v.Name] = newCellReader(r.Def, v)
	}
	var wanted func(string, protocol.Key) bool
	if r.share.of > 1 {
		wanted = func(view string, key protocol.Key) bool {
			text, err := readers[view].name(key)
			return err != nil || r.share.has(view, text) // an error comes again when it is read
		}
	}
	snapshot, err := r.Service.Cells(ctx, names(r.views), wanted, func(name string, key protocol.Key, states []measure.State) error {
		text, results, err := readers[name].read(key, states)
		if err != nil {
			return fmt.Errorf("reading a cell of view %s: %w", name, err)
		}
		if _, twice := merged[name][text]; twice {
			return fmt.Errorf("reading view %s: the cell %s is there twice", name, text)
		}
		merged[name][text] = results
		return nil
	})
	return merged, snapshot, err
}

// cellReader turns merged cells of a view into texts.
type cellReader struct {
	view     definition.View
	types    []column.Type // of the dimensions
	measures []measure.Measure
}

func newCellReader(def *definition.Definition, v definition.View) *cellReader {
	c := &cellReader{view: v, measures: measure.New(v)}
	for _, name := range v.By {
		col, _ := def.Column(name)
		c.types = append(c.types, col.Type)
	}
	return c
}

// name gives the text that names a cell.
func (c *cellReader) name(key protocol.Key) (string, error) {
	dims, err := view.DecodeDims(c.types, key.Dims)
	if err != nil {
		return "", err
	}
	var parts []string
	if c.view.Every != definition.None {
		parts = append(parts, column.FormatText(column.Type{Kind: column.Timestamp}, column.Value{Int: key.Time}))
	}
	for i, d := range dims {
		parts = append(parts, valueText(c.types[i], d))
	}
	return oracle.Key(parts...), nil
}

// read gives the texts of a cell's name and of its results.
func (c *cellReader) read(key protocol.Key, states []measure.State) (text, results string, err error) {
	if text, err = c.name(key); err != nil {
		return "", "", err
	}
	values := make([]string, len(states))
	for i, m := range c.measures {
		if values[i], err = resultText(m, states[i]); err != nil {
			return "", "", err
		}
	}
	return text, strings.Join(values, separator), nil
}

func valueText(t column.Type, v column.Value) string {
	switch {
	case v.Null:
		return "null"
	case t.Kind == column.String:
		return strconv.Quote(v.Str)
	}
	return column.FormatText(t, v)
}

// resultText writes a measure's result, of quantiles those that the oracle's
// cells name.
func resultText(m measure.Measure, s measure.State) (string, error) {
	var quantiles []measure.Quantile
	if m.IsQuantiles() {
		for _, text := range oracle.Quantiles {
			q, err := measure.ParseQuantile(text)
			if err != nil {
				return "", err
			}
			quantiles = append(quantiles, q)
		}
	}
	var texts []string
	for i, o := range m.Outputs(quantiles) {
		r, err := o.Read(s)
		switch {
		case err != nil:
			return "", err
		case r.Null:
			return "null", nil
		}
		text := valueText(o.Of, r.Value)
		if o.Big {
			text = scaledText(r.Big, o.Of.Scale)
		}
		if m.IsQuantiles() {
			text = quantiles[i].Suffix() + "=" + text
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, " "), nil
}

// scaledText writes x / 10^scale.
func scaledText(x *big.Int, scale int) string {
	digits := new(big.Int).Abs(x).String()
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	if scale > 0 {
		at := len(digits) - scale
		digits = digits[:at] + "." + digits[at:]
	}
	if x.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// compare holds a view's merged cells against the oracle's.
func (r *run) compare(v definition.View, merged texts) {
	seen := ViewResult{View: v.Name}
	for _, key := range slices.Sorted(maps.Keys(merged)) {
		cell, ok := r.oracle.Cell(v.Name, key)
		seen.Cells++
		if !ok {
			seen.Different++
			r.result.differ(Difference{View: v.Name, Cell: key, What: "cell", Merged: "there", Oracle: "absent"})
			continue
		}
		results := strings.Split(merged[key], separator)
		same := true
		for i, value := range cell.Values {
			if value == results[i] {
				continue
			}
			same = false
			r.result.differ(Difference{View: v.Name, Cell: key, What: v.Measures[i].Name, Merged: results[i], Oracle: value})
		}
		if !same {
			seen.Different++
		}
	}
	var absent []string
	for cell := range r.oracle.Cells(v.Name) {
		if _, ok := merged[cell.Key]; !ok && (r.share.of == 1 || r.share.has(v.Name, cell.Key)) {
			absent = append(absent, cell.Key)
		}
	}
	slices.Sort(absent)
	for _, key := range absent {
		seen.Cells++
		seen.Different++
		r.result.differ(Difference{View: v.Name, Cell: key, What: "cell", Merged: "absent", Oracle: "there"})
	}
	r.result.Views = append(r.result.Views, seen)
	r.result.Cells += seen.Cells
}
