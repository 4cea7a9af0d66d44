package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// pipeline is what a running pipeline tells of itself, as far as a producer
// needs it.
type pipeline struct {
	Name    string           `json:"pipeline"`
	Format  string           `json:"format"`  // of events: json, csv or tsv
	Fields  []string         `json:"fields"`  // csv and tsv: the fields of an event in their order
	ID      string           `json:"id"`      // the column that identifies an event; "": none
	Columns []pipelineColumn `json:"columns"` // those that events carry
}

// pipelineColumn is a column that events carry.
type pipelineColumn struct {
	Name string   `json:"name"`
	Type string   `json:"type"`
	From []string `json:"from"` // path in the event
}

// pipeline asks the running pipeline what it is.
func (c *client) pipeline(ctx context.Context) (*pipeline, error) {
	var p pipeline
	if err := c.getJSON(ctx, "/v1/status", nil, &p); err != nil {
		return nil, err
	}
	if p.Name == "" {
		return nil, errors.New("the pipeline's status does not tell its name; is this the right endpoint?")
	}
	return &p, nil
}

// stream gives the name of a pipeline's stream: the pipeline's own, unless a stack
// imported one.
func (c *client) stream(p *pipeline) string {
	if c.stack != nil {
		return c.stack.Stream
	}
	return p.Name
}

// knows checks that a column exists; "" is none.
func (p *pipeline) knows(name string) error {
	if name == "" || slices.ContainsFunc(p.Columns, func(c pipelineColumn) bool { return c.Name == name }) {
		return nil
	}
	var names []string
	for _, c := range p.Columns {
		names = append(names, c.Name)
	}
	return fmt.Errorf("--partition-key: the events of pipeline %s have no column %s; they have %s", p.Name, name, strings.Join(names, ", "))
}

// path gives where a column's value lies in an event.
func (p *pipeline) path(name string) []string {
	for _, c := range p.Columns {
		if c.Name == name {
			return c.From
		}
	}
	return nil
}
