//go:build clients

package catalog_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/aws/catalog"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/duckdb"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/oracle"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
	"github.com/watershed-data/watershed/internal/sql"
	"github.com/watershed-data/watershed/internal/standin"
	"github.com/watershed-data/watershed/internal/tables"
)

// lake is a pipeline as Athena finds it: a master dataset and versions in a bucket,
// and a database of the catalog.
type lake struct {
	t      *testing.T
	def    *definition.Definition
	logic  *rowlogic.Logic
	sql    sql.Athena
	views  *catalog.Catalog
	s3     *s3.Client
	glue   *glue.Client
	dir    string // the same files, for DuckDB
	files  []protocol.File
	stored map[string][]protocol.Event // by shard, each once
	seq    int64
}

func newLake(t *testing.T, def *definition.Definition) *lake {
	t.Helper()
	logic, err := rowlogic.New(def)
	must(t, err)
	name := strings.ToLower(rand.Text())
	config := standin.Config(ministack)
	l := &lake{
		t: t, def: def, logic: logic, dir: t.TempDir(), stored: map[string][]protocol.Event{},
		sql:  sql.Athena{Def: def, Database: "d" + name, Bucket: "b-" + name},
		s3:   s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true }),
		glue: glue.NewFromConfig(config),
	}
	l.views = catalog.New(config, l.sql.Database, l.sql.Merged)
	_, err = l.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &l.sql.Bucket})
	must(t, err)
	_, err = l.glue.CreateDatabase(t.Context(), &glue.CreateDatabaseInput{DatabaseInput: &types.DatabaseInput{Name: &l.sql.Database}})
	must(t, err)
	all, err := l.sql.Tables()
	must(t, err)
	for _, table := range append(all, l.sql.Rows(l.sql.Bucket)) {
		l.table(table)
	}
	views, err := l.sql.Merged(nil)
	must(t, err)
	for _, v := range views {
		must(t, l.views.Replace(t.Context(), v))
	}
	return l
}

// table makes a table as the stack does.
func (l *lake) table(of tables.Table) {
	columns := func(list []tables.Column) (out []types.Column) {
		for _, c := range list {
			out = append(out, types.Column{Name: &c.Name, Type: &c.Hive})
		}
		return out
	}
	_, err := l.glue.CreateTable(l.t.Context(), &glue.CreateTableInput{DatabaseName: &l.sql.Database, TableInput: &types.TableInput{
		Name: &of.Name, TableType: sdk.String(tables.ExternalTable), Parameters: of.Parameters, PartitionKeys: columns(of.Partitions),
		StorageDescriptor: &types.StorageDescriptor{
			Location: &of.Location, Columns: columns(of.Columns),
			InputFormat: sdk.String(tables.ParquetInput), OutputFormat: sdk.String(tables.ParquetOutput),
			SerdeInfo: &types.SerDeInfo{SerializationLibrary: sdk.String(tables.ParquetSerDe)},
		},
	}})
	must(l.t, err)
}

func (l *lake) put(key string, content []byte) {
	l.t.Helper()
	_, err := l.s3.PutObject(l.t.Context(), &s3.PutObjectInput{Bucket: &l.sql.Bucket, Key: &key, Body: bytes.NewReader(content)})
	must(l.t, err)
}

// store adds a file with events of shards to the master dataset, as Firehose does:
// rows of several shards in one file.
func (l *lake) store(events map[string][]protocol.Event) {
	l.t.Helper()
	var rows []*rowlogic.Batch
	for shard, list := range events {
		rows = append(rows, l.logic.Run(shard, list))
		for _, e := range list {
			if !slices.ContainsFunc(l.stored[shard], func(o protocol.Event) bool { return o.Position == e.Position }) {
				l.stored[shard] = append(l.stored[shard], e)
			}
		}
		slices.SortFunc(l.stored[shard], func(a, b protocol.Event) int { return strings.Compare(a.Position.Key(), b.Position.Key()) })
	}
	var content bytes.Buffer
	must(l.t, archive.Write(&content, l.def, rows...))
	name := fmt.Sprintf("%03d.parquet", len(l.files))
	l.put("master/"+l.def.Generation+"/2026/11/23/"+name, content.Bytes())
	must(l.t, os.WriteFile(filepath.Join(l.dir, name), content.Bytes(), 0o600))
	l.files = append(l.files, protocol.File{Name: name})
}

// publish makes a version of what is stored up to the cut, sealed at t, beside files
// of an attempt that was given up.
func (l *lake) publish(cut map[string]protocol.Position, t time.Time) protocol.Manifest {
	l.t.Helper()
	l.seq++
	m := protocol.Manifest{Version: fmt.Sprintf("v%08d-%s", l.seq, rand.Text()), Seq: l.seq, T: t.UnixMilli(), Cut: map[string]protocol.Cut{}, Views: map[string][]protocol.ViewFile{}}
	for shard, through := range cut {
		m.Cut[shard] = protocol.Cut{Through: through}
	}
	engine := duckdb.New(l.def, duckdb.Paths{
		Master: func(name string) string { return filepath.Join(l.dir, name) },
		View:   func(version, name string) string { return filepath.Join(l.dir, version, name) },
	}, duckdb.Options{TempDir: l.dir})
	result, err := engine.Compute(l.t.Context(), batch.Job{Plan: protocol.Plan{Cut: m.Cut, T: m.T}, Files: l.files, Distinct: true, Version: m.Version})
	must(l.t, err)
	for view, files := range result.Views {
		for _, f := range files {
			content, err := os.ReadFile(filepath.Join(l.dir, m.Version, f.Name))
			must(l.t, err)
			for _, attempt := range []string{"given-up", "kept"} {
				l.put("views/"+l.def.Generation+"/"+m.Version+"/"+view+"/"+attempt+"/part-0.parquet", content)
			}
			m.Views[view] = append(m.Views[view], protocol.ViewFile{Name: view + "/kept/part-0.parquet", Rows: f.Rows})
		}
	}
	must(l.t, l.views.Published(l.t.Context(), m))
	return m
}

func (l *lake) query(text string) [][]string {
	l.t.Helper()
	rows, err := standin.TrinoQuery(trino, l.sql.Database, text)
	if err != nil {
		l.t.Fatalf("%v\n%s", err, text)
	}
	return rows
}

// compare holds every cell of every view against the oracle, which has seen all
// events but those of loads that are in no version.
func (l *lake) compare(when string, m *protocol.Manifest) {
	l.t.Helper()
	o := oracle.New(l.def)
	if m != nil {
		o.SealedAt(time.UnixMilli(m.T))
	}
	var before []*oracle.Log
	for _, shard := range slices.Sorted(maps.Keys(l.stored)) { // parents first
		if m == nil && protocol.IsLoad(shard) || m != nil && protocol.IsLoad(shard) && m.Cut[shard].Through.IsZero() {
			continue
		}
		log := o.Log(shard, before...)
		for _, e := range l.stored[shard] {
			log.Add(e)
		}
		before = append(before, log)
	}
	for _, v := range l.def.AllViews() {
		merged, err := l.sql.View(v, m)
		must(l.t, err)
		var want, got []string
		for c := range o.Cells(v.Name) {
			want = append(want, strings.TrimSpace(c.Key+" | "+strings.Join(shown(v, c.Values), " | ")))
		}
		selected := make([]string, len(merged.Columns))
		for i, c := range merged.Columns {
			selected[i] = `"` + c.Name + `"`
		}
		keys := len(merged.Columns) - outputs(v)
		for _, row := range l.query("SELECT " + strings.Join(selected, ", ") + ` FROM "` + v.Name + `"`) {
			for i, c := range merged.Columns {
				row[i] = canonical(l.t, c, row[i])
			}
			got = append(got, strings.TrimSpace(oracle.Key(row[:keys]...)+" | "+strings.Join(row[keys:], " | ")))
		}
		slices.Sort(want)
		slices.Sort(got)
		if len(want) == 0 {
			l.t.Errorf("%s: the oracle has no cell of %s: nothing is compared", when, v.Name)
		}
		if !slices.Equal(got, want) {
			l.t.Errorf("%s: view %s differs from the oracle:\n%s", when, v.Name, differences(got, want))
		}
	}
}

func outputs(v definition.View) (n int) {
	for _, m := range v.Measures {
		n += len(measure.Measure{Measure: m}.Outputs(measure.DefaultQuantiles()))
	}
	return n
}

// shown gives the oracle's results as a merged view has them: of quantiles, three.
func shown(v definition.View, values []string) (out []string) {
	for i, m := range v.Measures {
		if m.Func != definition.Quantiles {
			out = append(out, values[i])
			continue
		}
		for _, p := range []string{"p50=", "p90=", "p99="} {
			text := "null"
			for _, q := range strings.Fields(values[i]) {
				if rest, ok := strings.CutPrefix(q, p); ok {
					text = rest
				}
			}
			out = append(out, text)
		}
	}
	return out
}

// canonical gives a value of Trino's as the oracle writes it.
func canonical(t *testing.T, c tables.Column, value string) string {
	t.Helper()
	if value == "null" {
		return value
	}
	switch {
	case c.Hive == "string":
		return strconv.Quote(value)
	case c.Hive == "timestamp":
		at, err := time.Parse("2006-01-02 15:04:05", value)
		must(t, err)
		return oracle.Text(column.Type{Kind: column.Timestamp}, column.Value{Int: at.UnixMicro()})
	case c.Hive == "double":
		f, err := strconv.ParseFloat(value, 64)
		must(t, err)
		return oracle.Text(column.Type{Kind: column.Float}, column.Value{Float: f})
	}
	return value
}

// differences lists a few lines that only one side has.
func differences(got, want []string) string {
	var out []string
	list := func(mark string, a, b []string) {
		n := 0
		for _, line := range a {
			if _, found := slices.BinarySearch(b, line); !found && n < 5 {
				out = append(out, mark+line)
				n++
			}
		}
	}
	list("got  ", got, want)
	list("want ", want, got)
	return fmt.Sprintf("%d rows, want %d\n%s", len(got), len(want), strings.Join(out, "\n"))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
