package archive

import (
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// Format is the version of the master dataset's files.
const Format = "2"

// The keys of a file's metadata.
const (
	FormatKey     = "watershed.format"
	GenerationKey = "watershed.generation"
	AfterKey      = "watershed.after"   // with ThroughKey: the file holds all events of the log in this span, as positions' keys
	ThroughKey    = "watershed.through" // only in files of which that is known
)

// The columns that every row has besides the definition's. A row's outcome and
// reason are definition.OutcomeColumn and definition.ReasonColumn.
const (
	ShardColumn     = "ws_shard"         // string
	PositionColumn  = "ws_position"      // string, protocol.Position.Key
	KeyColumn       = "ws_partition_key" // string
	ArrivalColumn   = "ws_arrival"       // milliseconds since 1970-01-01 UTC
	AggregateColumn = "ws_aggregated"    // boolean: it came in a KPL aggregate
	StrayColumn     = "ws_stray"         // boolean: its partition key belongs to another shard
	RawColumn       = "ws_raw"           // the event's bytes in standard base64
	DetailColumn    = "ws_detail"        // string: what was wrong with the event
	HashHighColumn  = "ws_hash_hi"       // upper 32 bits of the row's hash
	HashLowColumn   = "ws_hash_lo"       // lower 32 bits of the row's hash
	IDHighColumn    = "ws_id_hi"         // upper 64 bits of the row's identity; null if it takes no part in finding duplicates
	IDLowColumn     = "ws_id_lo"         // lower 64 bits of it
	RowLogicColumn  = "ws_rowlogic"      // version of the row logic that made the row
	timeColumnStart = "ws_time_"
)

// TimeColumn names the column with the start of a row's time bucket of a grain,
// in microseconds since 1970-01-01 UTC. Grain none has no column.
func TimeColumn(g definition.Grain) string { return timeColumnStart + string(g) }

// Grains lists the grains at which the definition's views keep buckets, without
// none, in order of first use.
func Grains(def *definition.Definition) []definition.Grain {
	var out []definition.Grain
	for _, v := range def.AllViews() {
		for _, g := range v.Grains() {
			if g != definition.None && !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// Column is one column of the master dataset.
type Column struct {
	Name     string
	Physical Physical
	Optional bool // may be null
	few      bool // it holds few different numbers
}

// Physical is how a column's values are stored. The set is what Firehose's
// conversion to Parquet can write, so that a file has one schema whoever wrote it.
type Physical uint8

// The physical types. Decimals are scaled to Int64, timestamps are Int64
// microseconds and dates Int32 days since 1970-01-01 UTC.
const (
	Text Physical = iota + 1
	Int64
	Int32
	Boolean
	Double
)

// Columns lists the columns of the master dataset in their order.
func Columns(def *definition.Definition) []Column {
	out := []Column{
		{Name: ShardColumn, Physical: Text},
		{Name: PositionColumn, Physical: Text},
		{Name: KeyColumn, Physical: Text},
		{Name: ArrivalColumn, Physical: Int64},
		{Name: AggregateColumn, Physical: Boolean},
		{Name: StrayColumn, Physical: Boolean},
		{Name: RawColumn, Physical: Text},
		{Name: definition.OutcomeColumn, Physical: Text},
		{Name: definition.ReasonColumn, Physical: Text, Optional: true},
		{Name: DetailColumn, Physical: Text, Optional: true},
		{Name: HashHighColumn, Physical: Int64},
		{Name: HashLowColumn, Physical: Int64},
		{Name: IDHighColumn, Physical: Int64, Optional: true},
		{Name: IDLowColumn, Physical: Int64, Optional: true},
		{Name: RowLogicColumn, Physical: Int32},
	}
	for _, g := range Grains(def) {
		out = append(out, Column{Name: TimeColumn(g), Physical: Int64, Optional: true})
	}
	for _, in := range def.Inputs() {
		out = append(out, Column{Name: in.Name, Physical: physical(in.Type.Kind), Optional: true, few: in.Measure.Func == definition.Quantiles})
	}
	for _, c := range def.Columns {
		out = append(out, Column{Name: c.Name, Physical: physical(c.Type.Kind), Optional: true})
	}
	return out
}

func physical(k column.Kind) Physical {
	switch k {
	case column.String:
		return Text
	case column.Bool:
		return Boolean
	case column.Date:
		return Int32
	case column.Float:
		return Double
	}
	return Int64
}

// Schema gives the Parquet schema of the master dataset's files.
func Schema(def *definition.Definition) *parquet.Schema {
	columns := Columns(def)
	root := ordered{Group: parquet.Group{}}
	for _, c := range columns {
		root.Group[c.Name] = c.node()
		root.names = append(root.names, c.Name)
	}
	return parquet.NewSchema("rows", root)
}

func (c Column) node() parquet.Node {
	var n parquet.Node
	switch c.Physical {
	case Text:
		// Not as lengths and then texts, which is parquet-go's choice: Spark 3.5.6 reads
		// other texts out of such pages, without an error (SPARK-52240).
		n = parquet.Encoded(parquet.String(), &parquet.Plain)
	case Int64:
		n = parquet.Leaf(parquet.Int64Type)
	case Int32:
		n = parquet.Leaf(parquet.Int32Type)
	case Boolean:
		n = parquet.Leaf(parquet.BooleanType)
	case Double:
		n = parquet.Leaf(parquet.DoubleType)
	default:
		panic(fmt.Sprintf("column %s has no physical type", c.Name))
	}
	if c.repeats() {
		n = parquet.Encoded(n, &parquet.RLEDictionary)
	}
	if c.Optional {
		n = parquet.Optional(n)
	}
	return n
}

// repeats reports whether a column's values are likely to occur again and
// again, which makes a dictionary small to store and quick to group by.
func (c Column) repeats() bool {
	switch c.Name {
	case PositionColumn, KeyColumn, RawColumn, DetailColumn:
		return false
	case RowLogicColumn:
		return true
	}
	return c.Physical == Text || c.few || len(c.Name) > len(timeColumnStart) && c.Name[:len(timeColumnStart)] == timeColumnStart
}

// ordered is a group whose fields keep their order; a parquet.Group sorts them
// by name.
type ordered struct {
	parquet.Group
	names []string
}

// Fields lists the fields in order.
func (g ordered) Fields() []parquet.Field {
	byName := make(map[string]parquet.Field, len(g.names))
	for _, f := range g.Group.Fields() {
		byName[f.Name()] = f
	}
	out := make([]parquet.Field, len(g.names))
	for i, name := range g.names {
		out[i] = byName[name]
	}
	return out
}
