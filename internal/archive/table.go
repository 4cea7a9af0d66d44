package archive

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// table reads the columns of the master dataset from batches of rows, whatever
// they are written as.
type table struct {
	columns []Column
	times   []definition.Grain
	inputs  []string // the columns that row logic makes for views
	names   []string // the definition's columns
}

func newTable(def *definition.Definition) table {
	t := table{columns: Columns(def), times: Grains(def)}
	for _, in := range def.Inputs() {
		t.inputs = append(t.inputs, in.Name)
	}
	for _, c := range def.Columns {
		t.names = append(t.names, c.Name)
	}
	return t
}

// check refuses a batch whose columns are not those of the table, which would
// store values under another column's name.
func (t *table) check(b *rowlogic.Batch) error {
	if len(b.Columns) != len(t.names) {
		return fmt.Errorf("writing rows of %s: the batch has %d columns, the definition has %d", b.Shard, len(b.Columns), len(t.names))
	}
	for _, g := range t.times {
		if b.Times[g] == nil {
			return fmt.Errorf("writing rows of %s: the batch has no buckets of grain %s", b.Shard, g)
		}
	}
	for _, name := range t.inputs {
		if b.Inputs[name] == nil {
			return fmt.Errorf("writing rows of %s: the batch has no column %s", b.Shard, name)
		}
	}
	n := len(b.Events)
	if len(b.Outcome) != n || len(b.Reason) != n || len(b.Detail) != n || len(b.Hash) != n || b.ID != nil && len(b.ID) != n {
		return errors.New("writing rows of " + b.Shard + ": the batch's columns differ in length")
	}
	return nil
}

// getter gives a function that reads column i of a row.
func (t *table) getter(b *rowlogic.Batch, i int) func(row int) parquet.Value {
	switch t.columns[i].Name {
	case ShardColumn:
		shard := text(b.Shard)
		return func(int) parquet.Value { return shard }
	case PositionColumn:
		return func(row int) parquet.Value { return text(b.Events[row].Position.Key()) }
	case KeyColumn:
		return func(row int) parquet.Value { return text(b.Events[row].PartitionKey) }
	case ArrivalColumn:
		return func(row int) parquet.Value { return parquet.Int64Value(b.Events[row].Arrival) }
	case AggregateColumn:
		return func(row int) parquet.Value { return parquet.BooleanValue(b.Events[row].Aggregated) }
	case StrayColumn:
		return func(row int) parquet.Value { return parquet.BooleanValue(b.Events[row].Stray) }
	case definition.OutcomeColumn:
		return func(row int) parquet.Value { return text(string(b.Outcome[row])) }
	case definition.ReasonColumn:
		return func(row int) parquet.Value { return textOrNull(b.Reason[row]) }
	case DetailColumn:
		return func(row int) parquet.Value { return textOrNull(b.Detail[row]) }
	case HashHighColumn:
		return func(row int) parquet.Value { return parquet.Int64Value(int64(b.Hash[row] >> 32)) }
	case HashLowColumn:
		return func(row int) parquet.Value { return parquet.Int64Value(int64(b.Hash[row] & 0xffffffff)) }
	case IDHighColumn:
		return identity(b, func(id rowlogic.Identity) uint64 { return id.Hi })
	case IDLowColumn:
		return identity(b, func(id rowlogic.Identity) uint64 { return id.Lo })
	case RowLogicColumn:
		version := parquet.Int32Value(definition.RowLogicVersion)
		return func(int) parquet.Value { return version }
	}
	own := len(t.columns) - len(t.names) // then the definition's columns, before them inputs and times
	inputs := own - len(t.inputs)
	times := inputs - len(t.times)
	switch {
	case i >= own:
		return vector(b.Columns[i-own])
	case i >= inputs:
		return vector(b.Inputs[t.inputs[i-inputs]])
	}
	return vector(b.Times[t.times[i-times]])
}

func text(s string) parquet.Value { return parquet.ByteArrayValue([]byte(s)) }

func textOrNull(s string) parquet.Value {
	if s == "" {
		return parquet.NullValue()
	}
	return text(s)
}

// identity reads one half of the rows' identities.
func identity(b *rowlogic.Batch, half func(rowlogic.Identity) uint64) func(row int) parquet.Value {
	return func(row int) parquet.Value {
		if b.ID == nil || b.ID[row].IsZero() {
			return parquet.NullValue()
		}
		return parquet.Int64Value(int64(half(b.ID[row])))
	}
}

func vector(v *column.Vector) func(row int) parquet.Value {
	value := func(row int) parquet.Value { return parquet.Int64Value(v.Int[row]) }
	switch v.Type.Kind {
	case column.String:
		value = func(row int) parquet.Value { return text(v.Str[row]) }
	case column.Bool:
		value = func(row int) parquet.Value { return parquet.BooleanValue(v.Int[row] != 0) }
	case column.Date:
		value = func(row int) parquet.Value { return parquet.Int32Value(int32(v.Int[row])) }
	case column.Float:
		value = func(row int) parquet.Value { return parquet.DoubleValue(v.Float[row]) }
	}
	return func(row int) parquet.Value {
		if v.Nulls[row] {
			return parquet.NullValue()
		}
		return value(row)
	}
}
