package definition

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/watershed-data/watershed/internal/column"
)

// checker turns the YAML into a Definition. It goes on after a problem, so that
// one reading reports them all.
type checker struct {
	source
	def      *Definition
	types    map[string]column.Type // the columns that the next expression may read
	assigned int                    // columns in set and default so far
	broken   map[string]bool        // columns with problems of their own: what uses them is not reported again
	unread   bool                   // some view's dimensions could not be read: what names one of them is not reported
}

// entry is one key of a mapping and its value.
type entry struct {
	key, value *yaml.Node
}

func (e entry) name() string { return e.key.Value }

// place is the node that an entry's problems point at: the value, if there is one.
func (e entry) place() *yaml.Node {
	if isEmpty(e.value) {
		return e.key
	}
	return e.value
}

// isNull reports whether a node says nothing: null, ~ or no text at all.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func isEmpty(n *yaml.Node) bool { return isNull(n) && n.Value == "" }

// fail reports a problem at a node. Aliases have been reported already.
func (c *checker) fail(n *yaml.Node, remedy, format string, args ...any) {
	if n.Kind != yaml.AliasNode {
		c.report(n.Line, n.Column, fmt.Sprintf(format, args...), remedy)
	}
}

func (c *checker) at(n *yaml.Node) Place { return Place{n.Line, n.Column} }

// entries gives a mapping's entries in order, each key once.
func (c *checker) entries(e entry, what, example string) []entry {
	n := e.value
	if n.Kind != yaml.MappingNode {
		c.fail(e.place(), "write "+example, "%s must be a mapping of keys to values", what)
		return nil
	}
	var list []entry
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch first, again := lines[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			c.fail(key, "write "+example, "a key of %s must be a name", what)
		case key.ShortTag() == "!!merge":
			c.fail(key, "write the keys out", "YAML merge keys are not allowed")
		case again:
			c.fail(key, "keep one of them", "the key %q appears twice in %s, first on line %d", key.Value, what, first)
		default:
			lines[key.Value] = key.Line
			list = append(list, entry{key, n.Content[i+1]})
		}
	}
	return list
}

// fields gives a mapping's entries by name. Other keys than the known ones are
// problems; a misspelt one stands for the key that was meant, so that its value
// is checked too and the key is not reported as missing.
func (c *checker) fields(e entry, what, example string, known ...string) map[string]entry {
	byName := map[string]entry{}
	var unknown []entry
	for _, e := range c.entries(e, what, example) {
		if slices.Contains(known, e.name()) {
			byName[e.name()] = e
		} else {
			unknown = append(unknown, e)
		}
	}
	for _, e := range unknown {
		c.fail(e.key, suggest(e.name(), known, "the keys here are "), "unknown key %q in %s", e.name(), what)
		meant := nearest(e.name(), known)
		if _, there := byName[meant]; !there && meant != "" {
			byName[meant] = e
		}
	}
	return byName
}

// list gives a sequence's items.
func (c *checker) list(e entry, what, example string) ([]*yaml.Node, bool) {
	if e.value.Kind != yaml.SequenceNode {
		c.fail(e.place(), "write "+example, "%s must be a list", what)
		return nil, false
	}
	return e.value.Content, true
}

// text gives a scalar's text as it stands: 00501 is that text, not a number.
func (c *checker) text(e entry, what, example string) (string, bool) {
	if e.value.Kind != yaml.ScalarNode || isNull(e.value) || e.value.Value == "" {
		c.fail(e.place(), "write "+example, "%s must be a text", what)
		return "", false
	}
	return e.value.Value, true
}

// over reports whether an item is beyond the most that are allowed; what comes
// from there on is not read.
func (c *checker) over(n *yaml.Node, count, most int, what string) bool {
	if count > most {
		c.fail(n, fmt.Sprintf("keep at most %d", most), "there are more than %d %s", most, what)
	}
	return count > most
}

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

const nameRule = "use a lower-case letter, then lower-case letters, digits and _, at most 63 in all"

// name checks the name of a column, view or measure.
func (c *checker) name(n *yaml.Node, what string) bool {
	name := n.Value
	switch {
	case name == "time":
		c.fail(n, "choose another name, such as "+what+"_time", "the name time is reserved for the start of a time bucket")
	case strings.HasPrefix(name, "ws_"):
		c.fail(n, "choose another name", "%s name %q begins with ws_, which is reserved", what, name)
	case !namePattern.MatchString(name):
		c.fail(n, nameRule, "%q is not a %s name", name, what)
	default:
		return true
	}
	return false
}

// column finds a column of the row; a missing one is a problem.
func (c *checker) column(n *yaml.Node, name string) (Column, bool) {
	if i := slices.IndexFunc(c.def.Columns, func(col Column) bool { return col.Name == name }); i >= 0 {
		return c.def.Columns[i], !c.broken[name]
	}
	if !c.broken[name] {
		c.fail(n, suggest(name, slices.Sorted(maps.Keys(c.types)), "the columns are "), "there is no column %q", name)
	}
	return Column{}, false
}

// nearest gives the known word that was probably meant, or "".
func nearest(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(strings.ToLower(word), k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// suggest names the known word that was probably meant, or all of them.
func suggest(word string, known []string, all string) string {
	const most = 20
	best := nearest(word, known)
	switch {
	case best != "":
		return "did you mean " + best + "?"
	case len(known) == 0:
		return "there are none yet"
	case len(known) > most:
		return all + strings.Join(known[:most], ", ") + " and more"
	}
	return all + strings.Join(known, ", ")
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make one word of another; words over 64 bytes, and words that
// differ in length by more than 2, are far from each other.
func distance(a, b string) int {
	const most = 64
	if len(a) > most || len(b) > most || len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return most
	}
	var rows [most + 1][most + 1]int
	for i := range len(a) + 1 {
		for j := range len(b) + 1 {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = i + j
				continue
			case a[i-1] == b[j-1]:
				rows[i][j] = rows[i-1][j-1]
			default:
				rows[i][j] = 1 + min(rows[i-1][j-1], rows[i-1][j], rows[i][j-1])
			}
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
