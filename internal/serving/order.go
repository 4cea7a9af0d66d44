package serving

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/view"
)

// appendSortKey appends a key whose byte order is the order of the answer's
// rows: the ordered columns, descending ones with every bit turned, and then
// the group key, which is the default order and unique. Each column's encoding
// is prefix-free, so turning the bits turns the order. states may be nil if no
// measure is ordered by.
func (p *plan) appendSortKey(dst []byte, key string, states []measure.State) ([]byte, error) {
	if len(p.order) == 0 {
		return append(dst, key...), nil
	}
	var t int64
	var dims []column.Value
	var err error
	if p.ordersByKey() {
		if t, dims, err = p.decodeKey(key); err != nil {
			return nil, err
		}
	}
	for _, o := range p.order {
		start := len(dst)
		switch i := p.dimensionOf(o.column); {
		case o.attribute != nil:
			dst = appendOrdered(dst, o.attribute.of.Kind, o.attribute.value(dims))
		case o.column >= p.keyColumns():
			m := o.column - p.keyColumns()
			if dst, err = appendResult(dst, p.outputs[m], states); err != nil {
				return nil, err
			}
		case i < 0:
			dst = appendTime(dst, t)
		default:
			dst = view.AppendDim(dst, p.byTypes[i].Kind, dims[i])
		}
		if o.desc {
			for i := start; i < len(dst); i++ {
				dst[i] = ^dst[i]
			}
		}
	}
	return append(dst, key...), nil
}

// appendOrdered encodes a dimension's value; floats, which are no dimensions but
// may be attributes, too.
func appendOrdered(dst []byte, k column.Kind, v column.Value) []byte {
	if k == column.Float && !v.Null {
		v = column.Value{Int: floatOrder(v.Float)}
	}
	return view.AppendDim(dst, k, v)
}

// ordersByKey reports whether a part of a group's key is ordered by.
func (p *plan) ordersByKey() bool {
	return slices.ContainsFunc(p.order, func(t term) bool { return t.column < p.keyColumns() })
}

// dimensionOf gives which asked dimension a key column shows; -1 is the time.
func (p *plan) dimensionOf(column int) int {
	if p.timed() {
		return column - 1
	}
	return column
}

// decodeKey takes a group key apart; the values are those of the asked
// dimensions.
func (p *plan) decodeKey(key string) (t int64, dims []column.Value, err error) {
	dims, err = view.DecodeDims(p.byTypes, key[timeLength:])
	return readTime(key), dims, err
}

// resultOffset moves 128-bit results to above zero.
var resultOffset = new(big.Int).Lsh(big.NewInt(1), 127)

// appendResult encodes a measure's result so that bytes order as results do,
// nulls first.
func appendResult(dst []byte, o output, states []measure.State) ([]byte, error) {
	r, err := o.read(states)
	switch {
	case err != nil:
		return nil, err
	case r.Null:
		return view.AppendDim(dst, column.Int, column.Null), nil
	case r.Big != nil:
		var b [17]byte // 38 digits fit 16 bytes
		b[0] = 1
		new(big.Int).Add(r.Big, resultOffset).FillBytes(b[1:])
		return append(dst, b[:]...), nil
	}
	return appendOrdered(dst, o.Of.Kind, r.Value), nil
}

// floatOrder gives an integer that orders as floats do; there are no NaNs.
func floatOrder(f float64) int64 {
	bits := int64(math.Float64bits(f))
	if bits < 0 {
		return math.MinInt64 - bits
	}
	return bits
}

// cursor is a place between two rows of an answer.
type cursor struct {
	version string
	key     string // sort key of the last row shown
}

// cursorText is what a cursor is made of. It names the query by a hash: a
// cursor of another one is refused, not misread.
type cursorText struct {
	Version string            `json:"v"`
	Lookups map[string]string `json:"l,omitempty"` // contents of those that the query uses
	Query   []byte            `json:"q"`
	Key     []byte            `json:"k"`
}

// identity is a hash of what decides the rows and their order; not of the
// limit, so that pages may differ in size.
func (p *plan) identity() []byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %q %t %d %d %q %v", p.view.Name, p.grain, p.asKept, p.from, p.to, p.asked(), p.measures)
	for _, o := range p.outputs {
		_, _ = fmt.Fprintf(h, " %s", o.Name) // of which quantiles
	}
	for _, o := range p.order {
		name := ""
		if o.attribute != nil {
			name = o.attribute.name
		}
		_, _ = fmt.Fprintf(h, " %d %q %t", o.column, name, o.desc)
	}
	if p.where != nil {
		_, _ = fmt.Fprintf(h, " where %q", p.where.expr.Text)
	}
	return h.Sum(nil)[:12]
}

// seal makes the cursor's text.
func (p *plan) seal(c cursor) string {
	b, _ := json.Marshal(cursorText{Version: c.version, Lookups: p.joins.contents(), Query: p.identity(), Key: []byte(c.key)})
	return base64.RawURLEncoding.EncodeToString(b)
}

// open reads a cursor's text; the empty text is before every row.
func (p *plan) open(text string) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	var c cursorText
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || len(c.Key) == 0 {
		return cursor{}, invalid("cursor", "this is no cursor; take it from next of the page before, unchanged")
	}
	if string(c.Query) != string(p.identity()) {
		return cursor{}, invalid("cursor", "the cursor belongs to another query; repeat the query of the page before with all its parameters, and only add the cursor")
	}
	for _, u := range p.joins.used {
		if c.Lookups[u.Lookup.Name] != u.Content {
			return cursor{}, invalid("cursor", "lookup %s has changed since the page before; ask again from the first page", u.Lookup.Name)
		}
	}
	return cursor{version: c.Version, key: string(c.Key)}, nil
}
