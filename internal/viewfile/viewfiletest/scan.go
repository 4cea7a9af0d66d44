package viewfiletest

import (
	"io"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/measure"
	"github.com/watershed-data/watershed/internal/viewfile"
)

// Scan opens a view file of the given size in bytes and scans it, as File.Scan does.
func Scan(r io.ReaderAt, size int64, def *definition.Definition, v definition.View, from, to int64, fn func(time int64, dims []column.Value, states []measure.State) error) error {
	f, err := viewfile.Open(r, size)
	if err != nil {
		return err
	}
	return f.Scan(def, v, from, to, fn)
}
