package lookup

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

func plural(rows int) string {
	if rows == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", rows)
}

// Describe says what queries can name, for people: `watershed check` prints it.
// Without lookups it is empty.
func (s *Set) Describe() string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, u := range s.Tables() {
		for _, dimension := range u.Lookup.On {
			fmt.Fprintf(out, "\nattributes of %s, from %s of %s\n", dimension, plural(u.Len()), u.Lookup.File)
			for _, a := range u.Attributes {
				fmt.Fprintf(out, "  %s.%s\t%s\n", dimension, a.Name, a.Type)
			}
		}
	}
	_ = out.Flush() // into memory: cannot fail
	return text.String()
}
