package lookup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
)

// Set is the lookups of a definition, with the newest good content of each. It
// may be used by several goroutines at once.
type Set struct {
	files map[string]*file // by lookup
	order []string
}

// Use is one content of a lookup, as a query uses it.
type Use struct {
	*Table
	// Problem says why a newer state of the file is not used; "": there is none.
	Problem string
}

// Open reads every lookup of a definition. What is wrong with any of them is
// definition.Errors, all of them in one. A nil logger keeps silent when a file
// changes later.
func Open(def *definition.Definition, logger *slog.Logger) (*Set, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s := &Set{files: map[string]*file{}}
	var problems definition.Errors
	for _, l := range def.Lookups {
		c, _ := def.Column(l.On[0])
		f := &file{lookup: l, path: def.Path(l), key: c.Type, zone: def.Zone, logger: logger}
		if c.Type.Kind == column.Decimal {
			f.key.Precision = column.MaxPrecision
		}
		f.refresh()
		if f.table == nil {
			problems = append(problems, f.atStart(def.File))
		}
		s.files[l.Name], s.order = f, append(s.order, l.Name)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return s, nil
}

// Table gives the newest good content of a lookup, reading its file again if it
// has changed. The lookup is one of the definition's.
func (s *Set) Table(name string) Use {
	f := s.files[name]
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
	return Use{f.table, f.problem}
}

// Tables gives the newest good content of every lookup, in the definition's order.
func (s *Set) Tables() []Use {
	if s == nil {
		return nil
	}
	out := make([]Use, len(s.order))
	for i, name := range s.order {
		out[i] = s.Table(name)
	}
	return out
}

// file is a lookup's file and what was read of it.
type file struct {
	lookup definition.Lookup
	path   string
	key    column.Type
	zone   *time.Location
	logger *slog.Logger

	mu      sync.Mutex
	table   *Table // the newest good content; nil: there never was one
	problem string // of the newest content
	cause   error  // what problem tells of
	size    int64  // of the file when it was read last
	time    time.Time
	hash    string
	unsure  bool // it had changed so shortly before that it may have changed again within one tick
}

// settles is how long after a change of a file its time tells the next one apart.
const settles = 2 * time.Second

// refresh reads the file if it may hold something else than when it was read last.
func (f *file) refresh() {
	info, err := os.Stat(f.path)
	if err == nil && f.hash != "" && !f.unsure && info.Size() == f.size && info.ModTime().Equal(f.time) {
		return
	}
	if err == nil {
		var content []byte
		if content, err = f.read(); err == nil {
			f.accept(content)
			return
		}
	}
	f.hash = ""
	f.fail(err)
}

// read gives the file's bytes and remembers what they are. A file that changes
// meanwhile is a problem: half of one content and half of another are none.
func (f *file) read() ([]byte, error) {
	in, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	before, err := in.Stat()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(in, MaxFileBytes+1))
	if err != nil {
		return nil, err
	}
	after, err := in.Stat()
	if err != nil {
		return nil, err
	}
	if after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return nil, errors.New("it is being written; put the new file in its place in one step, by renaming it")
	}
	f.size, f.time = after.Size(), after.ModTime()
	f.unsure = time.Since(f.time) < settles
	return content, nil
}

// accept takes a content into use if it is good and new.
func (f *file) accept(content []byte) {
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:])
	if hash == f.hash {
		return
	}
	f.hash = hash
	t, err := Parse(f.lookup, content, f.key, f.zone)
	if err != nil {
		f.fail(err)
		return
	}
	if t.Modified = f.time; f.table != nil {
		f.logger.Info("a lookup has changed", "lookup", f.lookup.Name, "file", f.path, "rows", t.Len())
	}
	f.table, f.problem, f.cause = t, "", nil
}

// fail notes why the file is not used, and logs it once.
func (f *file) fail(err error) {
	var of *os.PathError // the path is this machine's: messages name the lookup
	if errors.As(err, &of) {
		err = of.Err
	}
	problem := err.Error()
	if f.table != nil && problem != f.problem {
		f.logger.Warn("a lookup's file cannot be used; what it held before stays in use", "lookup", f.lookup.Name, "file", f.path, "problem", problem)
	}
	f.problem, f.cause = problem, err
}

// atStart says what keeps a definition from starting with the file.
func (f *file) atStart(definitionFile string) definition.Problem {
	l := f.lookup
	p := definition.Problem{
		File: definitionFile, Line: l.FileAt.Line, Column: l.FileAt.Column,
		Message: fmt.Sprintf("reading lookup %s from %s: %s", l.Name, f.path, f.problem),
		Remedy:  "correct the file, or name another",
	}
	switch {
	case errors.Is(f.cause, fs.ErrNotExist):
		p.Remedy = "put the file there, or correct its name, which begins in the definition's folder"
	case errors.Is(f.cause, errNoKey):
		p.Line, p.Column, p.Remedy = l.KeyAt.Line, l.KeyAt.Column, "name the column that holds the dimension's values"
	}
	return p
}
