package sql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/view"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// Since is where an incremental run goes on. Positions are the last ones that a
// version covers; of a shard without one, nothing.
type Since struct {
	Cut  map[string]protocol.Position // rows up to here are in the states of the version before
	From map[string]protocol.Position // rows up to here are not read; at most Cut, and Cut itself without an event id
}

// The columns and relations of an incremental run. No column of the user's begins
// with ws_.
const (
	addedColumn = "ws_added" // of stored: the row is in no version yet
	moved       = "ws_moved" // the buckets that are kept in another one than before
	wasColumn   = "ws_was"
	isColumn    = "ws_is"
)

// mark selects, behind other columns, whether a row lies behind the version
// before. Without an event id no other row is read.
func (s *Since) mark(def *definition.Definition) string {
	if s == nil || def.Events.ID == "" {
		return ""
	}
	return fmt.Sprintf(",\n  m.%s > since.covered AS %s", name(archive.PositionColumn), addedColumn)
}

// join leaves out the rows that need not be read.
func (s *Since) join(def *definition.Definition, shards []string) string {
	if s == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("JOIN (VALUES\n")
	for i, shard := range shards {
		from, covered := s.From[shard], s.Cut[shard]
		if def.Events.ID == "" {
			from = covered
		}
		fmt.Fprintf(&b, "  (%s, %s, %s)%s\n", literal(shard), literal(from.Key()), literal(covered.Key()), comma(i, len(shards)))
	}
	fmt.Fprintf(&b, ") AS since (shard, reached, covered)\nON m.%s = since.shard AND m.%s > since.reached\n", name(archive.ShardColumn), name(archive.PositionColumn))
	return b.String()
}

// added takes only rows that are in no version yet: the others were read for what
// they say of these.
func (s *Since) added() string {
	if s == nil {
		return ""
	}
	return "\nWHERE s." + addedColumn
}

// States gives the relation of the states in a view's files.
func (d DuckDB) States(files []string) (string, error) {
	var list []string
	for _, f := range files {
		if err := checkText("file name", f); err != nil {
			return "", err
		}
		list = append(list, literal(f))
	}
	return "read_parquet([" + strings.Join(list, ", ") + "], hive_partitioning = false)", nil
}

// Ageing gives the query for the buckets in a relation of states that a version
// sealed at t may keep in coarser ones: their starts, microseconds since
// 1970-01-01 UTC. It is empty for a view whose buckets never roll up.
func (d DuckDB) Ageing(v definition.View, states string, t int64) string {
	levels := view.RolledUp(v, d.Def.Zone, t).Levels()
	if len(levels) == 0 {
		return ""
	}
	before := levels[0].Before
	for _, l := range levels {
		before = max(before, l.Before)
	}
	at := name(viewfile.TimeColumn)
	return fmt.Sprintf("SELECT DISTINCT epoch_us(%s)\nFROM %s\nWHERE %s < make_timestamp(%d)", at, states, at, before)
}

// Move is that the states of one bucket go into another: their starts,
// microseconds since 1970-01-01 UTC.
type Move struct{ From, To int64 }

// movesAtATime bounds the length of a statement.
const movesAtATime = 5000

// Moves gives the statements that note moves for Moved, in place of earlier ones.
func (d DuckDB) Moves(moves []Move) []string {
	out := []string{fmt.Sprintf("CREATE OR REPLACE TEMP TABLE %s (%s BIGINT, %s BIGINT)", moved, wasColumn, isColumn)}
	for some := range slices.Chunk(moves, movesAtATime) {
		values := make([]string, len(some))
		for i, m := range some {
			values[i] = fmt.Sprintf("(%d, %d)", m.From, m.To)
		}
		out = append(out, fmt.Sprintf("INSERT INTO %s VALUES %s", moved, strings.Join(values, ", ")))
	}
	return out
}

// Moved gives a relation of states after the moves: several of one bucket may then
// be of one group.
func (d DuckDB) Moved(states string) string {
	at := name(viewfile.TimeColumn)
	return fmt.Sprintf("(SELECT s.* REPLACE (coalesce(make_timestamp(m.%s), s.%s) AS %s)\nFROM %s AS s\nLEFT JOIN %s AS m ON epoch_us(s.%s) = m.%s)",
		isColumn, at, at, states, moved, at, wasColumn)
}
