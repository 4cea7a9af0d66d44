package duckdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/watershed-data/watershed/internal/definition"
	render "github.com/watershed-data/watershed/internal/sql"
	"github.com/watershed-data/watershed/internal/view"
)

// query gives the query for a view's groups: of the rows, and of the states of the
// version that the job goes on from, if there is one.
func (r *run) query(ctx context.Context, v definition.View) (string, error) {
	rows, err := r.dialect.View(v, r.job.Plan.T)
	files := r.job.Since.Views[v.Name]
	if err != nil || len(files) == 0 {
		return rows, err
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, r.paths.View(r.job.Since.Version, f.Name))
	}
	states, err := r.dialect.States(paths)
	if err != nil {
		return "", err
	}
	if states, err = r.aged(ctx, v, states); err != nil {
		return "", err
	}
	return r.dialect.Merge(v, states, "(\n"+rows+"\n)")
}

// aged gives the states in the buckets of this version: it may keep some in
// coarser ones than the version before did. Which bucket that is only Go knows.
func (r *run) aged(ctx context.Context, v definition.View, states string) (string, error) {
	query := r.dialect.Ageing(v, states, r.job.Plan.T)
	if query == "" {
		return states, nil
	}
	moves, err := r.moves(ctx, query, view.RolledUp(v, r.def.Zone, r.job.Plan.T))
	if err != nil {
		return "", fmt.Errorf("rolling up the version before: %w", err)
	}
	if len(moves) == 0 {
		return states, nil
	}
	for _, statement := range r.dialect.Moves(moves) {
		if _, err := r.tx.ExecContext(ctx, statement); err != nil {
			return "", fmt.Errorf("rolling up the version before: %w", err)
		}
	}
	return r.dialect.Moved(states), nil
}

// moves holds only the buckets that change: those that have aged since the version
// before.
func (r *run) moves(ctx context.Context, query string, kept view.Rollup) (moves []render.Move, err error) {
	found, err := r.tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	for found.Next() {
		var at int64
		if err := found.Scan(&at); err != nil {
			return nil, err
		}
		if to := kept.Bucket(at); to != at {
			moves = append(moves, render.Move{From: at, To: to})
		}
	}
	return moves, found.Err()
}
