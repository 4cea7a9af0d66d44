// Package erasure says which events are to be erased. It knows the definition, the
// identities that row logic makes, and nothing of where events lie.
//
// Only whole identities can be erased: all events of a partition key, or all that
// carry an id. Whether an event is a duplicate depends on the events of its identity
// before it and on no others, so what stays is judged as it was. An erasure by any
// other condition could turn the repetition of an erased event into a first one.
package erasure

import (
	"errors"
	"fmt"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/expr"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// Request is what somebody wants erased: one of the two.
type Request struct {
	Where        string // a condition on the event id, in CEL
	PartitionKey string
}

// RequestError is a request that cannot be understood.
type RequestError struct{ Field, Message string }

func (e *RequestError) Error() string { return e.Message }

// Identifier gives identities; *rowlogic.Logic does.
type Identifier interface {
	IdentityOf(shard, partitionKey string, stray bool, id column.Value) rowlogic.Identity
}

// Row is what of a row of the master dataset says whether it is meant.
type Row struct {
	Shard        string
	PartitionKey string
	Stray        bool
	ID           rowlogic.Identity
}

// Match reads a request. What it gives reports whether a row is meant. The error is
// a *RequestError.
func Match(def *definition.Definition, logic Identifier, r Request) (func(Row) bool, error) {
	switch {
	case r.Where != "" && r.PartitionKey != "":
		return nil, &RequestError{"where", "both a condition and a partition key are given; erase by one of them, then by the other"}
	case r.PartitionKey != "":
		return func(row Row) bool { return row.PartitionKey == r.PartitionKey }, nil
	case r.Where == "":
		return nil, &RequestError{"where", "nothing says what to erase; give a condition on the event id, or a partition key"}
	}
	ids, err := idsOf(def, r.Where)
	if err != nil {
		return nil, err
	}
	return func(row Row) bool {
		if row.ID.IsZero() {
			return false
		}
		for _, id := range ids {
			if logic.IdentityOf(row.Shard, row.PartitionKey, row.Stray, id) == row.ID {
				return true
			}
		}
		return false
	}, nil
}

// maxIDs bounds the time that an erasure takes: for each event, an identity is made
// of its partition key and each id.
const maxIDs = 1000

// idsOf gives the ids that a condition names.
func idsOf(def *definition.Definition, where string) ([]column.Value, error) {
	name := def.Events.ID
	if name == "" {
		return nil, &RequestError{"where", "the definition has no event id, so no condition names whole events; erase by partition key"}
	}
	id, _ := def.Column(name)
	switch id.Type.Kind {
	case column.String, column.Int, column.Bool:
	default:
		return nil, &RequestError{"where", fmt.Sprintf("the event id %s is of type %s, of which a condition here cannot name a value; erase by partition key", name, id.Type)}
	}
	values, err := expr.Equals(where, name, id.Type)
	if err == nil && len(values) > maxIDs {
		return nil, &RequestError{"where", fmt.Sprintf("the condition names %d ids, and every event is held against each of them; erase at most %d at a time", len(values), maxIDs)}
	}
	if err == nil {
		return values, nil
	}
	message := err.Error()
	var wrong *expr.Error
	if errors.As(err, &wrong) && wrong.Remedy != "" {
		message += "; " + wrong.Remedy
	}
	return nil, &RequestError{"where", message + fmt.Sprintf(" (only the event id, %s, can say what to erase)", name)}
}
