package cost

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Text is the estimate for people.
func (e *Estimate) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on AWS, a month of 730 hours, %s, prices of %s\n\n", e.Pipeline, e.Region, e.Prices)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")+"\t") }
	for _, s := range e.Services {
		row(english.Sprintf("$ %.2f", s.USD), english.Sprintf("%.0f %%", 100*s.Share), s.Name)
	}
	row(english.Sprintf("$ %.2f", e.USD), "", "in all")
	_ = w.Flush() // a strings.Builder takes everything
	fmt.Fprintf(&b, "\nDetails\n")
	w = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range e.Lines {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", l.Service, l.What, english.Sprintf("%.0f %s", l.Quantity, l.Unit), english.Sprintf("$ %.2f", l.USD))
	}
	_ = w.Flush()
	fmt.Fprintf(&b, "\nWhat dominates\n  %s.\n", e.Dominant)
	if len(e.Advice) > 0 {
		b.WriteString("\nWhat to change, each by itself\n")
		for _, a := range e.Advice {
			b.WriteString(english.Sprintf("  saves $ %.2f: %s.\n", a.USD, a.Change))
		}
	}
	b.WriteString("\nAssumed\n")
	for _, a := range e.Assumed {
		fmt.Fprintf(&b, "  - %s.\n", a)
	}
	return b.String()
}
