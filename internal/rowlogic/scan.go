package rowlogic

// scanner finds the fields of events. One scanner is used by one goroutine at a
// time. It is the seam behind which decoding can become faster without row
// logic noticing: an implementation must accept and reject the same bytes with
// the same reasons.
type scanner interface {
	// scan reads one event and fills fields, one for each column that events
	// carry, in their order. It gives the first problem of the bytes, nil if there
	// is none; fields mean nothing if there is one. The event is not changed, and
	// fields may alias it or the scanner until the next call.
	scan(event []byte, fields []field) *problem
	// release forgets the last event, so that an idle scanner pins no memory.
	release()
}

// kind is the kind of value an event holds for a column.
type kind uint8

const (
	absent kind = iota // missing or null
	text
	number
	boolean
	object
	array
	plain // a field of a csv or tsv event, which every column reads its values from
)

// a names the kind with its article.
func (k kind) a() string {
	return [...]string{"null", "a string", "a number", "a bool", "an object", "an array", "a text"}[k]
}

// field is what an event holds for one column.
type field struct {
	kind    kind
	offset  int    // of the value's first byte in the event
	text    []byte // strings and fields without quotes and escapes; numbers and bools as written; nil for others
	blocked bool   // the value is none of the column's: it stands where the path to the column needs an object
}

// maxDepth is how many objects and arrays may lie within each other.
const maxDepth = 1000

// path is a point in an event that columns are read from or lie below of.
type path struct {
	columns []int // columns read from here
	below   []int // columns read from further down
	next    map[string]*path
}

// newPath makes the tree of all columns' paths and gives its root.
func newPath(froms [][]string) *path {
	root := &path{}
	for i, from := range froms {
		at := root
		for _, name := range from {
			at.below = append(at.below, i)
			if at.next == nil {
				at.next = map[string]*path{}
			}
			if at.next[name] == nil {
				at.next[name] = &path{}
			}
			at = at.next[name]
		}
		at.columns = append(at.columns, i)
	}
	return root
}

// fill stores a value that stands at this path; below it lies nothing.
func (p *path) fill(fields []field, f field) {
	p.here(fields, f)
	f.blocked = true
	for _, i := range p.below {
		fields[i] = f
	}
}

// here stores a value that stands at this path for the columns read from it.
func (p *path) here(fields []field, f field) {
	for _, i := range p.columns {
		fields[i] = f
	}
}
