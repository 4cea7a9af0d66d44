// Package job holds the two texts by which the batch layer and an engine in another
// process speak: what is to be computed, and what came of it. Both are JSON objects
// in a bucket. The package knows nothing else.
//
// Numbers that may not fit a float are decimal texts. Places are URIs of S3; one that
// ends with a slash is a folder.
package job

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Format is the version of both texts. An engine refuses any other one.
const Format = 1

// Job is what an engine computes. It holds all that the engine needs, so an engine
// knows no definition. To compute a job again gives the same, under other names.
type Job struct {
	Format     int    `json:"format"`
	Pipeline   string `json:"pipeline"`
	Generation string `json:"generation"`
	Run        string `json:"run"`
	Version    string `json:"version"`

	// Files of the master dataset, Parquet, by name: nothing else is read. There may be
	// none.
	Files []string `json:"files"`
	// Columns of the relation `files`, which the engine makes of the files: those that
	// the statements read. A file may have more of them, in any order.
	Columns []Column `json:"columns"`
	// Rows are statements to be run in this order, before any query. They read `files`
	// and make the relations that the queries read.
	Rows []string `json:"rows"`
	// Figures is a query for one row per shard: shard, count, hi and lo, exact integers
	// of up to 38 digits.
	Figures string `json:"figures"`
	// Check is what the figures must be, by shard; a shard without rows has zeros. If
	// they are something else, the engine computes no view.
	Check map[string]Figure `json:"check"`
	Views []View            `json:"views"`
	// Result is where the engine stores its Result, after everything else.
	Result string `json:"result"`
}

// Column is a column of the files.
type Column struct {
	Name string `json:"name"`
	Type Type   `json:"type"`
}

// Type is a column's type, as Spark names it.
type Type string

// The types of the master dataset's columns.
const (
	String  Type = "string"
	BigInt  Type = "bigint"
	Int     Type = "int"
	Boolean Type = "boolean"
	Double  Type = "double"
)

// View is a view to be computed and stored.
type View struct {
	Name  string `json:"name"`
	Query string `json:"query"`
	// Order is the columns by which the rows are sorted, ascending and nulls first,
	// within a file and from file to file; none for a view of one row.
	Order []string `json:"order"`
	// Output is the folder of its Parquet files. An engine makes a folder of its own in
	// it for every time it works at the job, and deletes nothing: another one may be at
	// it at the same time, or have been, and its files may be the ones that are read.
	Output string `json:"output"`
}

// Figure is one shard's side of the double entry. Hi and Lo are modulo 2^64.
type Figure struct {
	Count int64  `json:"count,string"`
	Hi    uint64 `json:"hi,string"`
	Lo    uint64 `json:"lo,string"`
}

// Result is what came of a job.
type Result struct {
	Format   int               `json:"format"`
	Version  string            `json:"version"`  // of the job
	Figures  map[string]Figure `json:"figures"`  // per shard with rows
	Balanced bool              `json:"balanced"` // they are what the job's Check says; else there are no views
	// Views are the files of each view of the job, in the order of their rows. A view
	// without rows may have none.
	Views   map[string][]File  `json:"views"`
	Engine  string             `json:"engine"`  // for people, such as Spark 3.5.6
	Seconds map[string]float64 `json:"seconds"` // per step, for people
}

// File is a Parquet file of a view, with all of its folders below that of the
// version in its name: sales_by_product/3f1c/part-00000.parquet.
type File struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

// Parse reads a job.
func Parse(text []byte) (Job, error) {
	var j Job
	if err := decode(text, &j); err != nil {
		return Job{}, fmt.Errorf("reading a job: %w", err)
	}
	if err := j.check(); err != nil {
		return Job{}, fmt.Errorf("reading a job: %w", err)
	}
	return j, nil
}

// ParseResult reads the result of a job.
func ParseResult(text []byte) (Result, error) {
	var r Result
	if err := decode(text, &r); err != nil {
		return Result{}, fmt.Errorf("reading a job's result: %w", err)
	}
	if err := r.check(); err != nil {
		return Result{}, fmt.Errorf("reading a job's result: %w", err)
	}
	return r, nil
}

// Text gives the job's text, one and the same for the same job.
func (j Job) Text() ([]byte, error) {
	if err := j.check(); err != nil {
		return nil, fmt.Errorf("writing a job: %w", err)
	}
	// An empty list is [] and not null, in whatever language it is read.
	j.Files, j.Columns, j.Rows, j.Views = orEmpty(j.Files), orEmpty(j.Columns), orEmpty(j.Rows), slices.Clone(orEmpty(j.Views))
	for i := range j.Views {
		j.Views[i].Order = orEmpty(j.Views[i].Order)
	}
	if j.Check == nil {
		j.Check = map[string]Figure{}
	}
	return text(j)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Text gives the result's text.
func (r Result) Text() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("writing a job's result: %w", err)
	}
	return text(r)
}

// text leaves < and > in statements readable.
func text(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return b.Bytes(), err
}

// decode takes exactly one value and no key that it does not know: what one side says
// and the other passes over would be a wrong answer.
func decode(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one value")
	}
	return nil
}

func checkFormat(format int) error {
	if format != Format {
		return fmt.Errorf("it is in format %d, and this release knows format %d", format, Format)
	}
	return nil
}

func (j *Job) check() error {
	if err := checkFormat(j.Format); err != nil {
		return err
	}
	for what, value := range map[string]string{
		"pipeline": j.Pipeline, "generation": j.Generation, "run": j.Run, "version": j.Version, "figures": j.Figures,
	} {
		if value == "" {
			return fmt.Errorf("%s is empty", what)
		}
	}
	for _, f := range append([]string{j.Result}, j.Files...) {
		if err := checkPlace(f); err != nil || strings.HasSuffix(f, "/") {
			return fmt.Errorf("%q is not the URI of an object, such as s3://bucket/key", f)
		}
	}
	for _, c := range j.Columns {
		switch c.Type {
		case String, BigInt, Int, Boolean, Double:
		default:
			return fmt.Errorf("column %s has type %q, which no column of the master dataset has", c.Name, c.Type)
		}
	}
	seen := map[string]bool{}
	for _, v := range j.Views {
		switch {
		case v.Name == "" || v.Query == "":
			return errors.New("a view has no name or no query")
		case seen[v.Name]:
			return fmt.Errorf("view %s is there twice", v.Name)
		case checkPlace(v.Output) != nil || !strings.HasSuffix(v.Output, "/"+v.Name+"/"):
			return fmt.Errorf("%q is not the URI of a folder of view %s", v.Output, v.Name)
		}
		seen[v.Name] = true
	}
	return nil
}

func (r *Result) check() error {
	if err := checkFormat(r.Format); err != nil {
		return err
	}
	if r.Version == "" {
		return errors.New("version is empty")
	}
	if !r.Balanced && len(r.Views) > 0 {
		return errors.New("it has views of rows that do not balance")
	}
	for view, files := range r.Views {
		seen := map[string]bool{}
		for _, f := range files {
			below := strings.TrimPrefix(f.Name, view+"/")
			if below == f.Name || below == "" || path.Clean(f.Name) != f.Name || seen[f.Name] || f.Rows < 0 {
				return fmt.Errorf("view %s has a file %q with %d rows; a file of it lies below %s/, once, and its rows are counted", view, f.Name, f.Rows, view)
			}
			seen[f.Name] = true
		}
	}
	return nil
}

func checkPlace(uri string) error {
	_, _, err := Place(uri)
	return err
}

// Place takes the URI of an object or a folder apart.
func Place(uri string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(uri, "s3://")
	bucket, key, found := strings.Cut(rest, "/")
	if !ok || !found || bucket == "" || key == "" {
		return "", "", fmt.Errorf("%q is not a URI of S3, such as s3://bucket/key", uri)
	}
	return bucket, key, nil
}
