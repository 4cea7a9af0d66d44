package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/watershed-data/watershed/internal/batch"
)

// database is a DuckDB of its own for one job, in memory, with a directory for
// what does not fit.
type database struct {
	db   *sql.DB
	conn *sql.Conn
	temp string
}

// open starts a database that can do no more than the job needs: read the
// pinned files, write the version's, spill to its own directory. It loads no
// extension and reaches no network, and nothing can loosen that later.
func (e *Engine) open(ctx context.Context, job batch.Job) (_ *database, err error) {
	temp, err := os.MkdirTemp(e.options.TempDir, "watershed-batch-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for rows that do not fit in memory: %w", err)
	}
	d := &database{temp: temp}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, fmt.Errorf("opening DuckDB: %w", err)
	}
	d.db = sql.OpenDB(connector)
	if d.conn, err = d.db.Conn(ctx); err != nil {
		return nil, fmt.Errorf("opening DuckDB: %w", err)
	}
	for _, s := range e.settings(job, temp) {
		if _, err := d.conn.ExecContext(ctx, s); err != nil {
			return nil, fmt.Errorf("setting up DuckDB: %w", err)
		}
	}
	return d, nil
}

// settings lists the statements that fence a database in, in order.
func (e *Engine) settings(job batch.Job, temp string) []string {
	var allowed []string
	for _, f := range job.Files {
		allowed = append(allowed, text(e.paths.Master(f.Name)))
	}
	for _, v := range e.def.AllViews() {
		allowed = append(allowed, text(e.paths.View(job.Version, fileName(v))))
		for _, f := range job.Since.Views[v.Name] {
			allowed = append(allowed, text(e.paths.View(job.Since.Version, f.Name)))
		}
	}
	out := []string{
		"SET threads = " + strconv.Itoa(e.options.Threads),
		"SET temp_directory = " + text(temp),
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET TimeZone = 'UTC'",
		"SET default_collation = ''", // texts order by their bytes
		"SET preserve_insertion_order = true",
	}
	if e.options.MemoryLimit > 0 {
		out = append(out, fmt.Sprintf("SET memory_limit = '%dB'", e.options.MemoryLimit))
	}
	return append(out,
		"SET allowed_paths = ["+strings.Join(allowed, ", ")+"]",
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	)
}

// text quotes a text literal.
func text(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Close ends the database and removes what it spilled.
func (d *database) Close() error {
	var errs []error
	if d.conn != nil {
		errs = append(errs, d.conn.Close())
	}
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(d.temp))...)
}
