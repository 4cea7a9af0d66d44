// Package viewfile is the file of a batch view: its columns, and reading them
// back as the states that Go computes. It needs no cgo, so the query function
// can use it.
//
// It knows the definition, measures and Parquet. Files are written by the SQL
// engines, with the columns that Layout names.
package viewfile
