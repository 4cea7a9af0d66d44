package load

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/protocol"
)

// Logic tells the event times of events, null if it cannot be read;
// *rowlogic.Logic does.
type Logic interface {
	EventTimes(shard string, events []protocol.Event) *column.Vector
}

// Archive fills the master dataset from a log; *archive.Archiver does.
type Archive interface {
	// Flush returns when every row up to the positions is in the master dataset.
	Flush(ctx context.Context, through map[string]protocol.Position) error
}

// Loader takes loads. All methods may be called at the same time.
type Loader struct {
	definition *definition.Definition
	logic      Logic
	loads      protocol.Loads
	ledger     protocol.Ledger
	archive    func(protocol.Log) Archive
	logger     *slog.Logger
	now        func() int64

	accepted chan struct{} // holds a token if a load may wait for Run

	mu     sync.Mutex
	going  *spoolLog         // what Run archives
	runs   bool              // Run is at work
	failed map[string]string // why a load's last try ended, by pseudo-shard
}

// Options are what a Loader of one generation needs; all of it is required.
type Options struct {
	Definition *definition.Definition
	Logic      Logic
	Loads      protocol.Loads
	Ledger     protocol.Ledger
	// Archive gives an archive that reads a log of one load, with checkpoints that
	// outlive it.
	Archive func(protocol.Log) Archive
	Logger  *slog.Logger
	Now     func() int64 // milliseconds since 1970-01-01 UTC; stamps arrivals
}

// New makes a Loader.
func New(o Options) *Loader {
	l := &Loader{
		definition: o.Definition, logic: o.Logic, loads: o.Loads, ledger: o.Ledger, archive: o.Archive, logger: o.Logger, now: o.Now,
		accepted: make(chan struct{}, 1), failed: map[string]string{},
	}
	l.wake() // for those that an earlier process has accepted
	return l
}

func (l *Loader) wake() {
	select {
	case l.accepted <- struct{}{}:
	default:
	}
}

// retryAfter is how long loads that failed wait for the next try.
const retryAfter = 10 * time.Second

// Run brings accepted loads into the master dataset, one after the other, until
// the context ends. What fails is tried again. While no Run is at work accepted
// loads wait: of two generations beside each other, neither may take them.
func (l *Loader) Run(ctx context.Context) {
	l.atWork(true)
	defer l.atWork(false)
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.accepted:
		case <-time.After(retryAfter):
		}
		if err := l.finishAll(ctx); err != nil && ctx.Err() == nil {
			l.logger.Error("bringing a load into the master dataset failed and will be tried again", "error", err)
		}
	}
}

func (l *Loader) atWork(runs bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs = runs
}

// finishAll finishes what was accepted. A load that fails does not keep it from
// the others.
func (l *Loader) finishAll(ctx context.Context) error {
	loads, err := l.loads.Loads(ctx)
	if err != nil {
		return err
	}
	for i := range loads {
		if loads[i].Loaded > 0 {
			continue
		}
		failure := l.finish(ctx, &loads[i])
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.note(loads[i].Shard(), failure)
		err = errors.Join(err, failure)
	}
	return err
}

func (l *Loader) note(shard string, failure error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failed, shard)
	if failure != nil {
		l.failed[shard] = failure.Error()
	}
}

// finish takes an accepted load through the steps that are left of it.
func (l *Loader) finish(ctx context.Context, load *protocol.Load) error {
	shard := load.Shard()
	_, done, err := l.ledger.Row(ctx, shard)
	if err != nil {
		return fmt.Errorf("reading the ledger row of %s: %w", shard, err)
	}
	if !done {
		if err := l.archiveAll(ctx, load); err != nil {
			return err
		}
		row, err := figures(ctx, l.loads, load)
		if err != nil {
			return err
		}
		if _, err := l.ledger.Create(ctx, shard, row); err != nil {
			return fmt.Errorf("creating the ledger row of %s: %w", shard, err)
		}
		l.logger.Info("loaded", "load", shard, "file", load.Name, "events", load.Events)
	}
	if err := l.loads.FinishLoad(ctx, shard, l.now()); err != nil {
		return err
	}
	return l.loads.DeleteSpool(ctx, load.Spool)
}

// archiveAll makes rows of the master dataset of all events of the load.
func (l *Loader) archiveAll(ctx context.Context, load *protocol.Load) (err error) {
	log := &spoolLog{loads: l.loads, load: *load}
	l.show(log)
	defer func() { l.show(nil); err = errors.Join(err, log.close()) }()
	return l.archive(log).Flush(ctx, map[string]protocol.Position{load.Shard(): log.last()})
}

// show says which load is being archived.
func (l *Loader) show(log *spoolLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.going = log
}
