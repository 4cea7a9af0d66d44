package definition

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/watershed-data/watershed/internal/column"
)

// RowLogicVersion counts changes of what row logic computes from the same
// definition and event. Raising it starts a new generation of every pipeline.
const RowLogicVersion = 2

// The canonical form: what decides an answer, in one order. Fields may be added
// only if they are left out at their default, else every generation changes.
type (
	canonical struct {
		RowLogic int               `json:"rowLogic"`
		Format   string            `json:"format"`
		Fields   []string          `json:"fields,omitempty"`
		Zone     string            `json:"zone"`    // with its rules
		Columns  []canonicalColumn `json:"columns"` // in order: the first problem gives the reason
		Time     string            `json:"time,omitempty"`
		ID       string            `json:"id,omitempty"`
		Within   int64             `json:"within,omitempty"` // nanoseconds
		Clean    []canonicalStep   `json:"clean"`
		Views    []canonicalView   `json:"views"` // by name
	}
	canonicalColumn struct {
		Name     string   `json:"name"`
		Type     string   `json:"type"`
		From     []string `json:"from,omitempty"`
		Optional bool     `json:"optional,omitempty"`
		Zone     string   `json:"zone,omitempty"`
	}
	canonicalStep struct {
		Kind   StepKind          `json:"kind"`
		Assign []canonicalAssign `json:"assign,omitempty"` // of a set in order, of a default by column
		Expr   string            `json:"expr,omitempty"`
		Reason string            `json:"reason,omitempty"`
	}
	canonicalAssign struct {
		Column string `json:"column"`
		Expr   string `json:"expr,omitempty"`
		Value  string `json:"value"`
	}
	canonicalView struct {
		Name     string             `json:"name"`
		By       []string           `json:"by"`
		Every    Grain              `json:"every"`
		Where    string             `json:"where,omitempty"`
		Keep     []canonicalKeep    `json:"keep,omitempty"`
		Measures []canonicalMeasure `json:"measures"` // in order: states are stored in it
	}
	canonicalKeep struct {
		For   int64 `json:"for,omitempty"` // nanoseconds
		Every Grain `json:"every"`
	}
	canonicalMeasure struct {
		Name   string `json:"name"`
		Func   Func   `json:"func"`
		Column string `json:"column,omitempty"`
		K      int    `json:"k,omitempty"`
		Error  string `json:"error,omitempty"`
	}
)

// generation hashes what decides an answer; the package comment lists it.
func generation(d *Definition) string {
	text, err := json.Marshal(canonicalForm(d))
	if err != nil {
		panic(fmt.Sprintf("encoding texts and numbers: %v", err)) // cannot fail
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:16]
}

func canonicalForm(d *Definition) canonical {
	form := canonical{
		RowLogic: RowLogicVersion,
		Format:   d.Events.Format,
		Fields:   d.Events.Fields,
		Zone:     zoneRules(d.Zone),
		Time:     d.Events.Time,
		ID:       d.Events.ID,
		Within:   int64(d.Events.DedupeWithin),
	}
	for _, col := range d.Columns {
		c := canonicalColumn{Name: col.Name, Type: col.Type.String(), From: col.From, Optional: col.Optional}
		if col.Zone != nil {
			c.Zone = zoneRules(col.Zone)
		}
		form.Columns = append(form.Columns, c)
	}
	for _, step := range d.Clean {
		form.Clean = append(form.Clean, canonicalStepOf(d, step))
	}
	for _, v := range d.Views {
		form.Views = append(form.Views, canonicalViewOf(v))
	}
	slices.SortFunc(form.Views, func(a, b canonicalView) int { return cmp.Compare(a.Name, b.Name) })
	return form
}

func canonicalStepOf(d *Definition, step Step) canonicalStep {
	form := canonicalStep{Kind: step.Kind, Reason: step.Reason}
	if step.Expr != nil {
		form.Expr = step.Expr.Text
	}
	for _, a := range step.Assign {
		assign := canonicalAssign{Column: a.Column}
		if a.Expr != nil {
			assign.Expr = a.Expr.Text
		} else {
			col, _ := d.Column(a.Column)
			assign.Value = column.FormatText(col.Type, a.Value)
		}
		form.Assign = append(form.Assign, assign)
	}
	if step.Kind == Default { // constants have no problems, so their order decides nothing
		slices.SortFunc(form.Assign, func(a, b canonicalAssign) int { return cmp.Compare(a.Column, b.Column) })
	}
	return form
}

func canonicalViewOf(v View) canonicalView {
	form := canonicalView{Name: v.Name, By: v.By, Every: v.Every}
	if v.Where != nil {
		form.Where = v.Where.Text
	}
	for _, k := range v.Keep {
		form.Keep = append(form.Keep, canonicalKeep{For: int64(k.For), Every: k.Every})
	}
	for _, m := range v.Measures {
		form.Measures = append(form.Measures, canonicalMeasure{Name: m.Name, Func: m.Func, Column: m.Column, K: m.K, Error: m.Error})
	}
	return form
}
