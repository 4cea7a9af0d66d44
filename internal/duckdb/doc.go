// Package duckdb is the batch layer's engine on one machine: an embedded DuckDB
// that turns files of the master dataset into the files of a version.
//
// It knows a plan, the generated SQL and where files lie, and nothing of
// ledgers, pointers and what is done with a version. It needs cgo.
package duckdb
