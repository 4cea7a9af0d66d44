package archive

import (
	"context"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go"

	"github.com/watershed-data/watershed/internal/protocol"
)

// about is what a file's footer says of it.
type about struct {
	protocol.File
	generation  string
	schema      string
	first, last string         // keys of the least and the greatest position; "": the file does not say
	whole       *protocol.Span // of the log that the file holds every event of; nil: none is known
}

// inspect reads a file's footer.
func inspect(ctx context.Context, master protocol.Master, file protocol.File) (_ *about, err error) {
	in, size, err := master.Open(ctx, file.Name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", file.Name, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	f, err := open(in, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name, err)
	}
	out := &about{File: file, schema: f.Schema().String()}
	out.generation, _ = f.Lookup(GenerationKey)
	if out.whole, err = wholeSpan(f); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name, err)
	}
	columns, err := leaves(f, PositionColumn)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name, err)
	}
	for _, group := range f.Metadata().RowGroups {
		bounds := &group.Columns[columns[0]].MetaData.Statistics
		least, most := string(bounds.MinValue), string(bounds.MaxValue)
		if least == "" || most == "" {
			out.first, out.last = "", ""
			break
		}
		if out.first == "" || least < out.first {
			out.first = least
		}
		out.last = max(out.last, most)
	}
	return out, nil
}

func wholeSpan(f *parquet.File) (*protocol.Span, error) {
	after, ok := f.Lookup(AfterKey)
	through, ok2 := f.Lookup(ThroughKey)
	if !ok || !ok2 {
		return nil, nil
	}
	var s protocol.Span
	var err, err2 error
	s.After, err = protocol.ParseKey(after)
	s.Through, err2 = protocol.ParseKey(through)
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("reading the span that the file holds: %w", err)
	}
	return &s, nil
}
