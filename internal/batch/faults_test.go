package batch_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// badMaster is a master dataset that does not do what it says: each file that is
// put goes through the faults.
type badMaster struct {
	*memory.Master
	plant  *plant
	faults []fault
	hidden map[string]time.Time // files that are not listed before their time
}

// fault changes what is stored of a file. It gives the rows of each file to store
// in place of it, and how long they stay hidden.
type fault func(rows []archive.Stored) (files [][]archive.Stored, late time.Duration)

func (m *badMaster) Put(ctx context.Context, shard string, write func(io.Writer) error) (protocol.File, error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return protocol.File{}, err
	}
	files, late := [][]archive.Stored{nil}, time.Duration(0)
	err := archive.Scan(bytes.NewReader(b.Bytes()), int64(b.Len()), func(row *archive.Stored) error {
		kept := *row
		kept.Data = bytes.Clone(row.Data)
		files[0] = append(files[0], kept)
		return nil
	})
	if err != nil {
		return protocol.File{}, err
	}
	for _, f := range m.faults {
		var out [][]archive.Stored
		for _, rows := range files {
			changed, more := f(rows)
			out, late = append(out, changed...), max(late, more)
		}
		files = out
	}
	last := protocol.File{Name: "lost"}
	for _, rows := range files {
		if last, err = m.store(ctx, shard, rows, late); err != nil {
			return protocol.File{}, err
		}
	}
	return last, nil
}

// store stores rows as a file that is listed after a while.
func (m *badMaster) store(ctx context.Context, shard string, rows []archive.Stored, late time.Duration) (protocol.File, error) {
	f, err := m.Master.Put(ctx, shard, func(w io.Writer) error {
		out := archive.NewWriter(w, &definition.Definition{})
		for _, row := range rows {
			if err := out.Write(logic{}.Run(row.Shard, []protocol.Event{row.Event})); err != nil {
				return err
			}
		}
		return out.Close()
	})
	if late > 0 {
		m.hidden[f.Name] = m.plant.now.Add(late)
	}
	return f, err
}

func (m *badMaster) Files(ctx context.Context) ([]protocol.File, error) {
	files, err := m.Master.Files(ctx)
	return slices.DeleteFunc(files, func(f protocol.File) bool { return m.hidden[f.Name].After(m.plant.now) }), err
}

// The faults of a master dataset.

func lose([]archive.Stored) ([][]archive.Stored, time.Duration) { return nil, 0 }

func double(rows []archive.Stored) ([][]archive.Stored, time.Duration) {
	return [][]archive.Stored{rows, slices.Clone(rows)}, 0
}

func delay(d time.Duration) fault {
	return func(rows []archive.Stored) ([][]archive.Stored, time.Duration) {
		return [][]archive.Stored{rows}, d
	}
}

func shuffle(random *rand.Rand) fault {
	return func(rows []archive.Stored) ([][]archive.Stored, time.Duration) {
		random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		return [][]archive.Stored{rows}, 0
	}
}

func loseRow(random *rand.Rand) fault {
	return func(rows []archive.Stored) ([][]archive.Stored, time.Duration) {
		if len(rows) == 0 {
			return nil, 0
		}
		i := random.IntN(len(rows))
		return [][]archive.Stored{slices.Delete(slices.Clone(rows), i, i+1)}, 0
	}
}

func doubleRow(random *rand.Rand) fault {
	return func(rows []archive.Stored) ([][]archive.Stored, time.Duration) {
		if len(rows) == 0 {
			return nil, 0
		}
		return [][]archive.Stored{append(slices.Clone(rows), rows[random.IntN(len(rows))])}, 0
	}
}

// swap loses one row and doubles another: the count stays right.
func swap(rows []archive.Stored) ([][]archive.Stored, time.Duration) {
	if len(rows) < 2 {
		return [][]archive.Stored{rows}, 0
	}
	return [][]archive.Stored{append(slices.Clone(rows[1:]), rows[1])}, 0
}

// some makes a fault happen to some of the files.
func some(random *rand.Rand, percent int, f fault) fault {
	return func(rows []archive.Stored) ([][]archive.Stored, time.Duration) {
		if random.IntN(100) < percent {
			return f(rows)
		}
		return [][]archive.Stored{rows}, 0
	}
}
