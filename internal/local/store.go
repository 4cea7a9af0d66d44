package local

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// The key space of the state database: the first byte of a key says what it
// belongs to. Each has one owner.
const (
	keyLog        = 'L' // log.go: one key per record
	keyArrival    = 'A' // log.go: the first record of each shard at a new latest arrival
	keyShard      = 'S' // log.go: shards, and the stream's counters
	keyLedger     = 'G' // ledger.go: ledger rows and the pointer
	keyPlan       = 'P' // ledger.go: plans of batch runs
	keyItem       = 'I' // realtime.go: real-time items
	keySegment    = 'D' // realtime.go: dedup segments
	keyCheckpoint = 'C' // files.go: the archive's checkpoints
	keyJournal    = 'J' // journal.go: how the batch layer stands, and a generation's beginning
	keyLoad       = 'H' // loads.go: loads of history
	keyErased     = 'E' // erasures.go: erased events that are still in the log
	keyGeneration = 'V' // generation.go: the generations, and their definitions' texts
)

// The parts of a data directory.
const (
	lockFile  = "LOCK"
	ackedFile = "ACKED"
	stateDir  = "state"
	masterDir = "master"
	viewsDir  = "views"
)

// DefaultShards is how many shards a new data directory gets unless told.
const DefaultShards = 2

// MaxShards bounds the shards of a stream.
const MaxShards = 1024

// ErrClosed: the store was closed.
var ErrClosed = errors.New("the data directory is closed")

// Options says how to open a data directory.
type Options struct {
	// Pipeline is the name of the pipeline that the directory belongs to.
	Pipeline string
	// Shards is the number of shards a new directory starts with, at most
	// MaxShards; 0 is DefaultShards. For a directory that exists, 0 takes what it
	// has, and any other number must be the one it was created with.
	Shards int
	// Logger takes what the store has to say; nil is slog.Default.
	Logger *slog.Logger
	// Now is the clock for arrivals and creation times; nil is time.Now.
	Now func() time.Time
}

// Store is an open data directory. Its methods may be called at once from
// several goroutines.
type Store struct {
	dir     string
	options Options
	lock    *os.File
	db      *pebble.DB
	log     *Log

	mastersLock sync.Mutex

	loads     *Loads
	loadsLock sync.Mutex
	masters   map[string]*Master // by generation
	foreign   sync.Map           // paths that were warned of

	gate   sync.RWMutex // held for reading while the database is in use
	closed bool         // guarded by gate
}

// Open opens a data directory, and creates it if there is nothing at dir. It
// refuses a directory that holds something else, belongs to another pipeline,
// was written by a newer format, is damaged or incomplete, or is open in another
// process; the error says what to do.
func Open(dir string, options Options) (*Store, error) {
	s, err := open(dir, options.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("opening data directory %s: %w", dir, err)
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func open(dir string, options Options) (_ *Store, err error) {
	if options.Pipeline == "" {
		return nil, errors.New("no pipeline is named")
	}
	if options.Shards < 0 || options.Shards > MaxShards {
		return nil, fmt.Errorf("%d shards: want 1 to %d", options.Shards, MaxShards)
	}
	// Look before touching: a foreign directory stays as it is.
	if _, err := inspect(dir); err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, options: options, lock: lock}
	defer func() {
		if err != nil {
			_ = s.release()
		}
	}()
	// Look again: now nobody else changes it.
	found, err := inspect(dir)
	if err != nil {
		return nil, err
	}
	if found == fresh {
		for _, step := range s.creation() {
			if err := step(); err != nil {
				return nil, fmt.Errorf("creating it: %w", err)
			}
		}
	}
	if err := s.checkFormat(); err != nil {
		return nil, err
	}
	if err := checkParts(dir); err != nil {
		return nil, err
	}
	if s.db, err = s.openDatabase(false); err != nil {
		return nil, err
	}
	if s.log, err = openLog(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Log is the stream's log.
func (s *Store) Log() *Log { return s.log }

// DB is the state database.
func (s *Store) DB() *pebble.DB { return s.db }

// Dir is the data directory's path.
func (s *Store) Dir() string { return s.dir }

// Close refuses what comes after it, waits for what is under way, and releases
// the directory. Closing twice is no error.
func (s *Store) Close() error {
	s.log.wake() // who waits for events waits in vain
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.log.drain()
	// With all in tables, which carry checksums, nothing hangs on the log of the
	// database, and the next Open has nothing to replay.
	if err := errors.Join(err, s.db.Flush(), s.release()); err != nil {
		return fmt.Errorf("closing data directory %s: %w", s.dir, err)
	}
	return nil
}

// enter holds the database open until leave; ErrClosed if it is closed. It must
// not be called again before leave: a Close in between would wait for ever.
func (s *Store) enter() error {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.gate.RUnlock() }

// release closes the database, if it is open, and gives up the lock.
func (s *Store) release() error {
	var err error
	if s.db != nil {
		err = s.db.Close()
	}
	return errors.Join(err, unlockDir(s.lock))
}

// openDatabase opens the state database, which must exist, or must not if it is
// to be created.
func (s *Store) openDatabase(create bool) (db *pebble.DB, err error) {
	logger := databaseLog{s.options.Logger}
	cache := pebble.NewCache(64 << 20)
	defer cache.Unref()
	options := &pebble.Options{
		Cache:            cache,
		ErrorIfExists:    create,
		ErrorIfNotExists: !create,
		// The newest format tells a torn tail of the write-ahead log, which a crash
		// leaves and nobody was promised, from damage in its middle.
		FormatMajorVersion: pebble.FormatNewest,
		MemTableSize:       16 << 20,
		Logger:             logger,
		EventListener:      logger.events(),
	}
	defer func() {
		// Some damage makes the database panic instead of returning an error.
		if r := recover(); r != nil {
			db, err = nil, damaged(fmt.Errorf("%v", r))
		}
	}()
	db, err = pebble.Open(filepath.Join(s.dir, stateDir), options)
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("opening its state database: %w", err)
	default:
		return nil, damaged(err)
	}
}

// damaged says what to do about a state database that does not open.
func damaged(err error) error {
	return fmt.Errorf("its state database is damaged or incomplete: %w; %s", err, remedy)
}

// databaseLog takes the database's own messages: the routine ones are dropped.
type databaseLog struct{ logger *slog.Logger }

func (databaseLog) Infof(string, ...any) {}

func (l databaseLog) Errorf(format string, args ...any) {
	l.logger.Error("state database: " + fmt.Sprintf(format, args...))
}

// Fatalf ends the process: the database could not write, and what it holds in
// memory may be more than what is on disk. The next start recovers.
func (l databaseLog) Fatalf(format string, args ...any) {
	l.logger.Error("state database: " + fmt.Sprintf(format, args...))
	os.Exit(1)
}

func (l databaseLog) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { l.logger.Error("state database", "error", err.Error()) },
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.logger.Error("state database is damaged", "file", info.Path, "error", info.Details.Error()) // a bare error would bring its stack
		},
	}
}
