package sql

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/watershed-data/watershed/internal/protocol"
)

// name quotes an identifier as the SQL standard says.
func name(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// literal quotes a text as the SQL standard says.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// checkText refuses a text that no engine takes in a literal.
func checkText(what, s string) error {
	if strings.ContainsRune(s, 0) {
		return fmt.Errorf("rendering SQL: the %s %q holds a NUL character", what, s)
	}
	return nil
}

// shards lists the shards of a cut in order, so that equal plans have equal SQL.
func shards(cut map[string]protocol.Position) []string {
	return slices.Sorted(maps.Keys(cut))
}
