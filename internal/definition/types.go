package definition

import (
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/expr"
)

// Definition is a checked pipeline definition: every name resolves, every
// expression type-checks, every type fits its use.
type Definition struct {
	File       string // as given, for messages
	Text       []byte // as written
	Pipeline   string
	Zone       *time.Location // time buckets and time functions
	Events     Events
	Clean      []Step
	Columns    []Column // the columns of a row: the declared ones in order of declaration, then those that `set` created
	Lookups    []Lookup // dimension tables, joined at query time; in order of declaration
	Views      []View
	Batch      Batch
	Generation string // hash of what decides an answer; see Generation rules in doc.go
}

// Events says how an event's bytes become columns.
type Events struct {
	Format       string   // "json", "csv" or "tsv"
	Fields       []string // csv and tsv: the fields of an event in order; nil for json
	Columns      []Column
	Time         string        // event-time column; empty if every view has Every == None
	ID           string        // the declared column that identifies an event by its value before clean, or empty
	DedupeWithin time.Duration // an event is a duplicate if the one before with its partition key and id arrived at most this much earlier; 0 without ID
}

// Column is one column of a row.
type Column struct {
	Name     string
	Type     column.Type
	From     []string       // path in the event; empty for a derived column
	Optional bool           // null is allowed after clean
	Zone     *time.Location // timestamps: the zone of values that name none, the pipeline's if the column says nothing; else nil
	Derived  bool           // created by a `set`
}

// StepKind is the kind of a cleaning step.
type StepKind string

// The cleaning steps.
const (
	Set     StepKind = "set"
	Default StepKind = "default"
	Require StepKind = "require"
	Drop    StepKind = "drop"
)

// Step is one cleaning step. Set and Default carry Assign, Require and Drop
// carry Expr. All expressions of one Set see the values from before the step.
type Step struct {
	Kind   StepKind
	Assign []Assign
	Expr   *expr.Expr // a bool
	Reason string     // Require: the reason of rejected events; the expression's text if the definition gives none
}

// Assign gives a column a value: an expression (Set) or a constant (Default).
type Assign struct {
	Column string
	Expr   *expr.Expr
	Value  column.Value
}

// Grain is the width of a view's time buckets.
type Grain string

// The grains, finest first. None is one bucket for all time.
const (
	Minute         Grain = "1m"
	FiveMinutes    Grain = "5m"
	FifteenMinutes Grain = "15m"
	Hour           Grain = "1h"
	Day            Grain = "1d"
	Week           Grain = "1w"
	Month          Grain = "1mo"
	None           Grain = "none"
)

// View is one declared aggregation.
type View struct {
	Name     string
	By       []string // dimension columns, in key order; empty is one group
	Every    Grain
	Where    *expr.Expr // nil: every accepted row
	Measures []Measure
	Keep     []Keep // rollup by age, finest first; the first one's grain is Every; nil: Every for all time
	Outcomes bool   // the built-in view over all rows by outcome and reason; see Outcomes
}

// Keep says at which grain buckets of an age are kept. A bucket's age is how long
// its coarse bucket, the one of the next Keep's grain, has ended before the
// version's T.
type Keep struct {
	For   time.Duration // up to this age; 0 in the last one: for all time
	Every Grain
}

// Grains gives the grains at which a view keeps buckets, finest first.
func (v View) Grains() []Grain {
	if len(v.Keep) == 0 {
		return []Grain{v.Every}
	}
	grains := make([]Grain, len(v.Keep))
	for i, k := range v.Keep {
		grains[i] = k.Every
	}
	return grains
}

// Lookup is a dimension table: a file whose rows describe values of a dimension.
type Lookup struct {
	Name string
	File string   // as the definition gives it; relative to the definition's file
	Key  string   // the table's column that holds the dimension's value
	On   []string // the dimensions it describes; with one, --by DIMENSION.ATTRIBUTE, as with several

	FileAt, KeyAt Place // of File and Key, for messages about what the file holds
}

// Place is where something stands in a definition's text.
type Place struct {
	Line   int // from 1
	Column int // from 1, in code points
}

// Func is a measure's aggregate function.
type Func string

// The aggregate functions.
const (
	Count Func = "count"
	Sum   Func = "sum"
	Min   Func = "min"
	Max   Func = "max"
	Avg   Func = "avg"

	Distinct  Func = "distinct"
	Quantiles Func = "quantiles"
)

// Measure is one declared measure of a view.
type Measure struct {
	Name   string
	Func   Func
	Column string      // empty for count of rows
	Type   column.Type // of Column; zero for count of rows
	K      int         // distinct: how many of the smallest hashes the state keeps
	Error  string      // quantiles: the relative error as a canonical decimal text, "0.01"
}

// Batch says when batch runs start by themselves.
type Batch struct {
	Every      time.Duration // 0: only when asked, or Continuous
	Continuous bool          // the next run starts when one has ended
}

// Names of the columns that every row has besides the user's. The prefix ws_
// is reserved for them.
const (
	OutcomeColumn = "ws_outcome"
	ReasonColumn  = "ws_reason"
	OutcomesView  = "ws_outcomes"
)

// Outcomes is the built-in view that counts all rows by what became of them.
// It passes through the same layers as the user's views, so rejected events
// are counted as exactly as accepted ones.
func Outcomes() View {
	return View{
		Name:     OutcomesView,
		By:       []string{OutcomeColumn, ReasonColumn},
		Every:    None,
		Measures: []Measure{{Name: "events", Func: Count}},
		Outcomes: true,
	}
}

// AllViews gives the user's views and then the built-in one.
func (d *Definition) AllViews() []View {
	return append(append([]View(nil), d.Views...), Outcomes())
}

// View finds a view by name, the built-in one too.
func (d *Definition) View(name string) (View, bool) {
	for _, v := range d.AllViews() {
		if v.Name == name {
			return v, true
		}
	}
	return View{}, false
}

// Column finds a column of a row by name; the built-in dimensions ws_outcome
// and ws_reason too.
func (d *Definition) Column(name string) (Column, bool) {
	for _, c := range d.Columns {
		if c.Name == name {
			return c, true
		}
	}
	if name == OutcomeColumn || name == ReasonColumn {
		return Column{Name: name, Type: column.Type{Kind: column.String}, Optional: true, Derived: true}, true
	}
	return Column{}, false
}
