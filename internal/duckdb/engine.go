package duckdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"runtime"

	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
	render "github.com/watershed-data/watershed/internal/sql"
)

// Engine computes versions of one definition. Jobs may run at the same time.
type Engine struct {
	def     *definition.Definition
	dialect render.DuckDB
	paths   Paths
	options Options
}

// New makes an engine.
func New(def *definition.Definition, paths Paths, options Options) *Engine {
	if options.Threads == 0 {
		options.Threads = runtime.GOMAXPROCS(0)
	}
	if options.RowGroupRows == 0 {
		options.RowGroupRows = DefaultRowGroupRows
	}
	return &Engine{def: def, dialect: render.DuckDB{Def: def}, paths: paths, options: options}
}

// Compute makes all view files of a version, durable when it returns, and the
// figures of the very same rows. A repeat writes the same files again.
//
// It ends with the context's error when that is cancelled; files of a job that
// failed may be left behind.
func (e *Engine) Compute(ctx context.Context, job batch.Job) (batch.Result, error) {
	result, err := e.compute(ctx, job)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // DuckDB's word for it is an interrupt
		}
		return batch.Result{}, fmt.Errorf("computing version %s: %w", job.Version, err)
	}
	return result, nil
}

func (e *Engine) compute(ctx context.Context, job batch.Job) (_ batch.Result, err error) {
	db, err := e.open(ctx, job)
	if err != nil {
		return batch.Result{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.conn.BeginTx(ctx, nil)
	if err != nil {
		return batch.Result{}, fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it only read, and made a temporary table
	r := run{Engine: e, job: job, tx: tx, total: len(e.def.AllViews()) + 2}
	return r.all(ctx)
}

// run is the steps of one job.
type run struct {
	*Engine
	job         batch.Job
	tx          *sql.Tx
	done, total int
}

func (r *run) step() {
	r.done++
	if r.options.Progress != nil {
		r.options.Progress(r.done, r.total)
	}
}

func (r *run) all(ctx context.Context) (batch.Result, error) {
	if err := r.rows(ctx); err != nil {
		return batch.Result{}, err
	}
	r.step()
	result := batch.Result{Views: make(map[string][]protocol.ViewFile)}
	var err error
	if result.Figures, err = r.figures(ctx); err != nil {
		return batch.Result{}, err
	}
	for _, f := range result.Figures {
		result.Events += f.Count
	}
	if r.job.Check != nil {
		if err := r.job.Check(result.Figures); err != nil {
			return batch.Result{}, err
		}
	}
	r.step()
	for _, v := range r.def.AllViews() {
		if result.Views[v.Name], err = r.view(ctx, v); err != nil {
			return batch.Result{}, fmt.Errorf("view %s: %w", v.Name, err)
		}
		r.step()
	}
	return result, nil
}

// rows makes the relation of the rows up to the cut.
func (r *run) rows(ctx context.Context) error {
	source := render.Source{Cut: make(map[string]protocol.Position), Distinct: r.job.Distinct}
	for _, f := range r.job.Files {
		source.Files = append(source.Files, r.paths.Master(f.Name))
	}
	for shard, cut := range r.job.Plan.Cut {
		source.Cut[shard] = cut.Through
	}
	if r.job.Since.Version != "" {
		source.Since = &render.Since{Cut: positions(r.job.Since.Cut), From: positions(r.job.Since.From)}
	}
	statements, err := r.dialect.Rows(source)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := r.tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("reading the master dataset: %w", err)
		}
	}
	return nil
}

func positions(cut map[string]protocol.Cut) map[string]protocol.Position {
	out := make(map[string]protocol.Position, len(cut))
	for shard, c := range cut {
		out[shard] = c.Through
	}
	return out
}

// figures counts the rows and adds up their hashes.
func (r *run) figures(ctx context.Context) (_ map[string]batch.Figure, err error) {
	out := make(map[string]batch.Figure, len(r.job.Plan.Cut))
	for shard := range r.job.Plan.Cut {
		out[shard] = batch.Figure{}
	}
	found, err := r.tx.QueryContext(ctx, r.dialect.Figures())
	if err != nil {
		return nil, fmt.Errorf("computing figures: %w", err)
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		var shard string
		var f batch.Figure
		var high, low *big.Int
		if err := found.Scan(&shard, &f.Count, &high, &low); err != nil {
			return nil, fmt.Errorf("reading figures: %w", err)
		}
		f.Sum = protocol.Sum{Hi: modulo64(high), Lo: modulo64(low)}
		out[shard] = f
	}
	return out, found.Err()
}

var mask64 = new(big.Int).SetUint64(^uint64(0))

func modulo64(x *big.Int) uint64 { return new(big.Int).And(x, mask64).Uint64() }

// view writes the file of one view; none if it has no groups.
func (r *run) view(ctx context.Context, v definition.View) ([]protocol.ViewFile, error) {
	query, err := r.query(ctx, v)
	if err != nil {
		return nil, err
	}
	name := fileName(v)
	path := r.paths.View(r.job.Version, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the version's directory: %w", err)
	}
	statement, err := r.dialect.Copy(query, path, r.options.RowGroupRows)
	if err != nil {
		return nil, err
	}
	result, err := r.tx.ExecContext(ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("writing its file: %w", err)
	}
	groups, err := result.RowsAffected()
	if err != nil {
		return nil, fmt.Errorf("writing its file: %w", err)
	}
	if groups == 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("removing its empty file: %w", err)
		}
		return nil, nil
	}
	if err := sync(path); err != nil {
		return nil, err
	}
	return []protocol.ViewFile{{Name: name, Rows: groups}}, nil
}

// fileName names the one file of a view.
func fileName(v definition.View) string { return v.Name + ".parquet" }

// sync makes a file and its name durable.
func sync(path string) error {
	for _, p := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(p)
		if err != nil {
			return fmt.Errorf("making %s durable: %w", p, err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("making %s durable: %w", p, err)
		}
	}
	return nil
}
