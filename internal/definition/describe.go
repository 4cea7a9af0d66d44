package definition

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/watershed-data/watershed/internal/column"
)

// Describe says what was understood, for people: `watershed check` prints it.
func (d *Definition) Describe() string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "pipeline %s\n", d.Pipeline)
	fmt.Fprintf(out, "  events\t%s\n", d.Events.form())
	if d.Events.Time != "" {
		fmt.Fprintf(out, "  event time\t%s\n", d.Events.Time)
	}
	if d.Events.ID != "" {
		fmt.Fprintf(out, "  event id\t%s, duplicates within %s\n", d.Events.ID, shortDuration(d.Events.DedupeWithin))
	}
	fmt.Fprintf(out, "  time buckets\tin %s\n", d.Zone)
	fmt.Fprintf(out, "  batch\t%s\n", d.Batch)
	fmt.Fprintf(out, "  generation\t%s\n", d.Generation)
	d.describeColumns(out)
	d.describeClean(out)
	d.describeLookups(out)
	d.describeViews(out)
	_ = out.Flush() // into memory: cannot fail
	return text.String()
}

// form says what an event looks like.
func (e Events) form() string {
	if !e.separated() {
		return e.Format
	}
	return fmt.Sprintf("%s, with the fields %s", e.Format, strings.Join(e.Fields, ", "))
}

func (d *Definition) describeColumns(out io.Writer) {
	fmt.Fprint(out, "\ncolumns\n")
	for _, c := range d.Columns {
		origin := "from " + strings.Join(c.From, ".")
		switch {
		case c.Derived:
			origin = "created by set"
		case c.Optional:
			origin += ", optional"
		}
		if c.Zone != nil {
			origin += ", in " + c.Zone.String() + " where a value names no zone"
		}
		fmt.Fprintf(out, "  %s\t%s\t%s\n", c.Name, c.Type, origin)
	}
}

func (d *Definition) describeClean(out io.Writer) {
	if len(d.Clean) == 0 {
		return
	}
	fmt.Fprint(out, "\nclean, in this order\n")
	for _, step := range d.Clean {
		switch step.Kind {
		case Set:
			for _, a := range step.Assign {
				fmt.Fprintf(out, "  set\t%s = %s\n", a.Column, oneLine(a.Expr.Text))
			}
		case Default:
			for _, a := range step.Assign {
				fmt.Fprintf(out, "  default\t%s = %s\n", a.Column, d.literal(a))
			}
		case Require:
			fmt.Fprintf(out, "  require\t%s, or reject: %s\n", oneLine(step.Expr.Text), oneLine(step.Reason))
		case Drop:
			fmt.Fprintf(out, "  drop\t%s\n", oneLine(step.Expr.Text))
		}
	}
}

// literal writes a default's value; texts in quotes.
func (d *Definition) literal(a Assign) string {
	col, _ := d.Column(a.Column)
	text := column.FormatText(col.Type, a.Value)
	if col.Type.Kind == column.String {
		return fmt.Sprintf("%q", text)
	}
	return text
}

// oneLine folds an expression that is written over several lines.
func oneLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, " ")
}

func (d *Definition) describeLookups(out io.Writer) {
	if len(d.Lookups) == 0 {
		return
	}
	fmt.Fprint(out, "\nlookups\n")
	for _, l := range d.Lookups {
		fmt.Fprintf(out, "  %s\tdescribes %s\tby %s of %s\n", l.Name, strings.Join(l.On, ", "), l.Key, l.File)
	}
}

func (d *Definition) describeViews(out io.Writer) {
	fmt.Fprint(out, "\nviews\n")
	for _, v := range d.Views {
		by := "one group"
		if len(v.By) > 0 {
			by = "by " + strings.Join(v.By, ", ")
		}
		every := "every " + string(v.Every)
		if v.Every == None {
			every = "over all time"
		}
		for i, k := range v.Keep {
			switch {
			case k.For > 0 && i == 0:
				every += " for " + shortDuration(k.For)
			case k.For > 0:
				every += fmt.Sprintf(", then %s for %s", k.Every, shortDuration(k.For))
			default:
				every += ", then " + string(k.Every)
			}
		}
		fmt.Fprintf(out, "  %s: %s, %s\n", v.Name, by, every)
		if v.Where != nil {
			fmt.Fprintf(out, "    where\t%s\n", oneLine(v.Where.Text))
		}
		for _, m := range v.Measures {
			fmt.Fprintf(out, "    %s\t%s\n", m.Name, m)
		}
	}
}

// String gives a measure as the definition writes it.
func (m Measure) String() string {
	switch {
	case m.Column == "":
		return string(m.Func)
	case m.Func == Distinct:
		return fmt.Sprintf("%s(%s, %d)", m.Func, m.Column, m.K)
	case m.Func == Quantiles:
		return fmt.Sprintf("%s(%s, %s)", m.Func, m.Column, m.Error)
	}
	return fmt.Sprintf("%s(%s)", m.Func, m.Column)
}

// String says when batch runs start.
func (b Batch) String() string {
	switch {
	case b.Continuous:
		return "continuous: a run starts when one has ended"
	case b.Every > 0:
		return "every " + shortDuration(b.Every)
	}
	return "only when asked"
}

// shortDuration writes a duration as the definition does.
func shortDuration(d time.Duration) string {
	for _, unit := range "dhm" {
		if size := durationUnits[byte(unit)]; d%size == 0 {
			return fmt.Sprintf("%d%c", d/size, unit)
		}
	}
	return fmt.Sprintf("%ds", d/durationUnits['s'])
}
