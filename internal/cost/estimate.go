package cost

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/watershed-data/watershed/internal/definition"
)

// Estimate is what a pipeline costs in a month, in US dollars.
type Estimate struct {
	Pipeline string    `json:"pipeline"`
	Region   string    `json:"region"`
	Prices   string    `json:"prices"` // the price table's day
	Services []Service `json:"services"`
	Lines    []Line    `json:"lines"`
	USD      float64   `json:"usd"` // in all
	Dominant string    `json:"dominates"`
	Advice   []Advice  `json:"advice"`
	Assumed  []string  `json:"assumed"`
}

// Service is what one service costs, the dearest first.
type Service struct {
	Name  string  `json:"name"`
	USD   float64 `json:"usd"`
	Share float64 `json:"share"` // of all, from 0 to 1
}

// Line is one thing that is billed.
type Line struct {
	Service  string  `json:"service"`
	What     string  `json:"what"`
	Quantity float64 `json:"quantity"`
	Unit     string  `json:"unit"`
	USD      float64 `json:"usd"`
}

// Advice is something to change, and what that would save in a month.
type Advice struct {
	Change string  `json:"change"`
	USD    float64 `json:"saves"`
}

// worthwhile is the share of the bill from which on advice is given.
const worthwhile = 0.03

// New estimates what the pipeline costs under such traffic. It fails with a
// *FieldError if the traffic cannot be.
func New(def *definition.Definition, t Traffic) (*Estimate, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	prices, err := readPrices(pricesText)
	if err != nil {
		return nil, err
	}
	m := newModel(def, t)
	lines, total, err := prices.bill(m)
	if err != nil {
		return nil, err
	}
	e := &Estimate{
		Pipeline: def.Pipeline, Region: prices.Region, Prices: prices.Date,
		Services: byService(lines, total), Lines: lines, USD: total,
		Dominant: m.dominant(lines, total), Assumed: m.assumed(),
	}
	for _, c := range m.changes() {
		_, other, err := prices.bill(c.model)
		if err != nil {
			return nil, err
		}
		if saved := total - other; saved >= worthwhile*total {
			e.Advice = append(e.Advice, Advice{c.text, saved})
		}
	}
	slices.SortStableFunc(e.Advice, func(a, b Advice) int { return cmp.Compare(b.USD, a.USD) })
	return e, nil
}

// bill prices what a model uses.
func (t *priceTable) bill(m model) ([]Line, float64, error) {
	var lines []Line
	total := 0.0
	for _, u := range m.uses() {
		p, ok := t.Prices[u.price]
		if !ok {
			return nil, 0, fmt.Errorf("pricing %s: the price table has no %s", u.what, u.price)
		}
		l := Line{p.Service, u.what, u.quantity, p.Unit, u.quantity / p.Per * p.USD}
		total += l.USD
		if l.Quantity > 0 {
			lines = append(lines, l)
		}
	}
	return lines, total, nil
}

func byService(lines []Line, total float64) []Service {
	var out []Service
	for _, l := range lines {
		at := slices.IndexFunc(out, func(s Service) bool { return s.Name == l.Service })
		if at < 0 {
			at = len(out)
			out = append(out, Service{Name: l.Service})
		}
		out[at].USD += l.USD
		out[at].Share = out[at].USD / total
	}
	slices.SortStableFunc(out, func(a, b Service) int { return cmp.Compare(b.USD, a.USD) })
	return out
}
