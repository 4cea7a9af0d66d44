package duckdb_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	render "github.com/watershed-data/watershed/internal/sql"
)

// TestMergedStatesAreThoseOfAllRows is the other half of design law 2: states
// that SQL adds up are those of all the rows at once, bit for bit and in the same
// order. Without it an incremental run differs from a full one.
func TestMergedStatesAreThoseOfAllRows(t *testing.T) {
	t.Parallel()
	def := everything(t)
	// One view without lists will do.
	def.Views = slices.DeleteFunc(def.Views, func(v definition.View) bool { return v.Name[0] == 'a' && v.Name != "a0" })
	r := rand.New(rand.NewPCG(11, 7))
	b := newBench(t, def)
	all := newFold(def)
	var versions []string
	job := b.job(map[string]string{"shard-a": "9999"})
	for i, rows := range []*rowlogic.Batch{
		rowsOf(r, def, "shard-a", 1, 300), rowsOf(r, def, "shard-a", 301, 1), rowsOf(r, def, "shard-a", 302, 200),
	} {
		b.store(rows)
		part := b.job(map[string]string{"shard-a": "9999"})
		part.Files, part.Version = b.files[i:], fmt.Sprint("part", i)
		if _, err := b.engine(duckdb.Options{}).Compute(context.Background(), part); err != nil {
			t.Fatal(err)
		}
		versions = append(versions, part.Version)
		all.add(job, rows)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	dialect := render.DuckDB{Def: def}
	result := batch.Result{Views: map[string][]protocol.ViewFile{}, Figures: all.figures}
	if err := os.Mkdir(filepath.Join(b.dir, job.Version), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, v := range def.AllViews() {
		var relations []string
		name := v.Name + ".parquet"
		for _, version := range versions {
			path := filepath.Join(b.dir, version, name)
			if _, err := os.Stat(path); err == nil { // a part of one row is in few views
				relations = append(relations, "read_parquet(['"+strings.ReplaceAll(path, "'", "''")+"'], hive_partitioning = false)")
			}
		}
		query, err := dialect.Merge(v, relations...)
		if err != nil {
			t.Fatal(err)
		}
		statement, err := dialect.Copy(query, filepath.Join(b.dir, job.Version, name), 2048)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("merging view %s: %v\n%s", v.Name, err, query)
		}
		result.Views[v.Name] = []protocol.ViewFile{{Name: name}}
	}
	all.compare(t, b, job, result)
}
