package definition

import (
	"slices"
	"strings"
	"testing"
)

const separated = `
pipeline: rides
events:
  format: csv
  fields: [ride, started at, unread, item.km, member, 5, no]
  columns:
    ride:   {type: string}
    at:     {type: timestamp, from: started at}
    km:     {type: float, from: item.km}
    member: {type: bool, from: "no"}
    due:    {type: date, from: "5", optional: true}
  time: at
clean:
  - default: {due: 2026-03-31, member: true, km: -0.0}
views:
  v: {by: [member, due], every: 1d, measures: {rides: count, longest: max(km), last: max(due), all: min(member)}}
`

// A field's name is its whole name, also if it has a point or looks like a
// number or a word to YAML.
func TestFieldsOfCSV(t *testing.T) {
	t.Parallel()
	d := mustParse(t, separated)
	if want := []string{"ride", "started at", "unread", "item.km", "member", "5", "no"}; !slices.Equal(d.Events.Fields, want) {
		t.Errorf("the fields are %q, want %q", d.Events.Fields, want)
	}
	for name, want := range map[string]string{"ride": "ride", "at": "started at", "km": "item.km", "member": "no", "due": "5"} {
		if c, _ := d.Column(name); !slices.Equal(c.From, []string{want}) {
			t.Errorf("column %s is read from %q, want the field %q", name, c.From, want)
		}
	}
	if line := "events        csv, with the fields ride, started at, unread, item.km, member, 5, no\n"; !strings.Contains(d.Describe(), line) {
		t.Errorf("the description lacks %q:\n%s", line, d.Describe())
	}
}

// The same bytes mean something else if the fields stand in another order or are
// written in another format: what is stored must not be read as theirs.
func TestFormatAndFieldsAreOfTheGeneration(t *testing.T) {
	t.Parallel()
	same := mustParse(t, separated).Generation
	for _, change := range [][2]string{
		{"[ride, started at,", "[started at, ride,"},
		{"unread, item.km", "item.km, unread"},
		{", no]", ", no, more]"},
		{"format: csv", "format: tsv"},
		{"{type: float,", "{type: \"decimal(9,3)\","},
	} {
		if mustParse(t, replaced(t, separated, change[0], change[1])).Generation == same {
			t.Errorf("%s instead of %s keeps the generation", change[1], change[0])
		}
	}
}
