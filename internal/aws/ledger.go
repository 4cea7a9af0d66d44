package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Ledger is the ledger of one generation in a table.
type Ledger struct {
	table      *table
	generation string
}

// Ledger gives the ledger of a generation.
func (s *Store) Ledger(generation string) *Ledger {
	return &Ledger{table: &table{s.dynamo, s.options.Ledger}, generation: generation}
}

func (l *Ledger) rows() string                { return l.generation + "#rows" }
func (l *Ledger) pointerKey() (pk, sk string) { return l.generation + "#pointer", "pointer" }
func (l *Ledger) plans() string               { return l.generation + "#plans" }

// Shards implements protocol.Ledger.
func (l *Ledger) Shards(ctx context.Context) (out []string, err error) {
	err = l.table.query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    str("pk = :pk"),
		ExpressionAttributeValues: record{":pk": text(l.rows())},
		ProjectionExpression:      str(sorting),
	}, func(r record) error {
		out = append(out, textOf(r, sorting))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the ledger's rows: %w", err)
	}
	return out, nil
}

// Rows implements protocol.Ledger. A query is no snapshot: each of its rows is
// consistent for itself.
func (l *Ledger) Rows(ctx context.Context) (map[string]protocol.Row, error) {
	out := map[string]protocol.Row{}
	err := l.table.query(ctx, &dynamodb.QueryInput{
		KeyConditionExpression:    str("pk = :pk"),
		ExpressionAttributeValues: record{":pk": text(l.rows())},
	}, func(r record) error {
		var row protocol.Row
		if err := getBody(r, &row); err != nil {
			return fmt.Errorf("the row of %s: %w", textOf(r, sorting), err)
		}
		out[textOf(r, sorting)] = row
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the ledger's rows: %w", err)
	}
	return out, nil
}

// Row implements protocol.Ledger.
func (l *Ledger) Row(ctx context.Context, shard string) (row protocol.Row, ok bool, err error) {
	if ok, err = l.table.value(ctx, l.rows(), shard, &row); err != nil {
		return protocol.Row{}, false, fmt.Errorf("reading the ledger: %w", err)
	}
	return row, ok, nil
}

// Create implements protocol.Ledger.
func (l *Ledger) Create(ctx context.Context, shard string, row protocol.Row) (bool, error) {
	row.Rev = 1
	return l.storeRow(ctx, shard, row, absent)
}

// Swap implements protocol.Ledger.
func (l *Ledger) Swap(ctx context.Context, shard string, row protocol.Row) (bool, error) {
	was := row.Rev
	row.Rev++
	return l.storeRow(ctx, shard, row, condition{"rev = :rev", nil, record{":rev": number(was)}})
}

func (l *Ledger) storeRow(ctx context.Context, shard string, row protocol.Row, c condition) (bool, error) {
	r := key(l.rows(), shard)
	r["rev"] = number(row.Rev)
	if err := setBody(r, row); err != nil {
		return false, fmt.Errorf("writing the ledger: %w", err)
	}
	stored, _, err := l.table.putIf(ctx, r, c)
	if err != nil {
		return false, fmt.Errorf("writing the ledger: %w", err)
	}
	return stored, nil
}

// Pointer implements protocol.Ledger.
func (l *Ledger) Pointer(ctx context.Context) (p protocol.Pointer, err error) {
	pk, sk := l.pointerKey()
	if _, err = l.table.value(ctx, pk, sk, &p); err != nil {
		return protocol.Pointer{}, fmt.Errorf("reading the pointer: %w", err)
	}
	return p, nil
}

// SwapPointer implements protocol.Ledger.
func (l *Ledger) SwapPointer(ctx context.Context, old, new protocol.Pointer) (bool, error) {
	r := key(l.pointerKey())
	r["seq"], r["version"], r["disc"] = number(new.Seq), text(new.Version), number(new.Disc)
	if err := setBody(r, new); err != nil {
		return false, fmt.Errorf("writing the pointer: %w", err)
	}
	c := condition{
		"#seq = :seq AND #version = :version AND #disc = :disc",
		map[string]string{"#seq": "seq", "#version": "version", "#disc": "disc"},
		record{":seq": number(old.Seq), ":version": text(old.Version), ":disc": number(old.Disc)},
	}
	if old == (protocol.Pointer{}) {
		c.expression = absent.expression + " OR " + c.expression
	}
	stored, _, err := l.table.putIf(ctx, r, c)
	if err != nil {
		return false, fmt.Errorf("writing the pointer: %w", err)
	}
	return stored, nil
}

// Plan implements protocol.Ledger.
func (l *Ledger) Plan(ctx context.Context, run string) (p protocol.Plan, ok bool, err error) {
	if ok, err = l.table.value(ctx, l.plans(), run, &p); err != nil {
		return protocol.Plan{}, false, fmt.Errorf("reading the plan of %s: %w", run, err)
	}
	return p, ok, nil
}

// PutPlan implements protocol.Ledger.
func (l *Ledger) PutPlan(ctx context.Context, plan protocol.Plan) (protocol.Plan, error) {
	r := key(l.plans(), plan.Run)
	if err := setBody(r, plan); err != nil {
		return protocol.Plan{}, fmt.Errorf("writing the plan of %s: %w", plan.Run, err)
	}
	stored, there, err := l.table.putIf(ctx, r, absent)
	if err == nil && !stored {
		plan = protocol.Plan{}
		err = getBody(there, &plan)
	}
	if err != nil {
		return protocol.Plan{}, fmt.Errorf("writing the plan of %s: %w", plan.Run, err)
	}
	return plan, nil
}

// DeletePlan implements protocol.Ledger.
func (l *Ledger) DeletePlan(ctx context.Context, run string) error {
	if err := l.table.delete(ctx, l.plans(), run); err != nil {
		return fmt.Errorf("deleting the plan of %s: %w", run, err)
	}
	return nil
}
