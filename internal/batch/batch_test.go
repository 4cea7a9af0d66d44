package batch_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

const minute = time.Minute

// TestEachFault: whatever one thing goes wrong between the archive and the master
// dataset, the version is the truth, and the report says what was done for it.
func TestEachFault(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		faults   []fault
		late     time.Duration // that the layer waits
		repaired int64
		doubled  bool
		distinct int // jobs that kept one row per position
		slept    bool
	}{
		"none":                    {},
		"every file is lost":      {faults: []fault{lose}, repaired: 30, distinct: 2},
		"every file is doubled":   {faults: []fault{double}, doubled: true, distinct: 1},
		"rows are shuffled":       {faults: []fault{shuffle(random)}},
		"a row of each is lost":   {faults: []fault{loseRow(random)}, repaired: 6, distinct: 2},
		"a row of each is double": {faults: []fault{doubleRow(random)}, doubled: true, distinct: 1},
		"equal counts":            {faults: []fault{swap}, repaired: 6, doubled: true, distinct: 2},
		"a late file":             {faults: []fault{delay(minute)}, late: 5 * minute, distinct: 2, slept: true},
		"a file later than that":  {faults: []fault{delay(9 * minute)}, late: 5 * minute, repaired: 30, distinct: 2, slept: true},
		"late, none expected":     {faults: []fault{delay(minute)}, repaired: 30, distinct: 2},
		"doubled and late":        {faults: []fault{double, shuffle(random), delay(minute)}, late: 5 * minute, distinct: 2, slept: true},
	} {
		for _, checks := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				p := newPlant(t, 2)
				p.engine.checks = checks
				p.Late.Wait = c.late
				p.send(0, 20)
				p.send(1, 10)
				p.master.faults = c.faults
				began := p.now
				flush(p)
				p.master.faults = nil
				report, err := p.Run(t.Context())
				if err != nil {
					t.Fatalf("%v\n%s", err, p.logs)
				}
				p.wantTruth()
				b := report.Balance
				if !b.Equal || b.Ledger() != 30 || b.Repaired() != c.repaired || b.Doubled != c.doubled || p.engine.distinct != c.distinct || p.now.After(began) != c.slept {
					t.Errorf("%d repaired, doubled %t, %d jobs with one row per position, slept %t; want %d, %t, %d, %t", b.Repaired(), b.Doubled, p.engine.distinct, p.now.After(began), c.repaired, c.doubled, c.distinct, c.slept)
				}
				// What was late comes, what was repaired is there twice: the truth stays.
				p.now = p.now.Add(time.Hour)
				if report, err = p.Run(t.Context()); err != nil || report.Balance.Repaired() != 0 {
					t.Fatalf("a second run repaired again: %+v, %v", report, err)
				}
				p.wantTruth()
			})
		}
	}
}

// flush archives all there is.
func flush(p *plant) {
	p.t.Helper()
	through := map[string]protocol.Position{}
	for i := range 2 {
		row, ok, err := p.ledger.Row(p.t.Context(), memory.ShardID(i))
		must(p.t, err)
		if ok {
			through[memory.ShardID(i)] = row.Through
		}
	}
	must(p.t, p.Archive.Flush(p.t.Context(), through))
}

// TestRepairWritesOnlyWhatIsMissing: a repair that wrote everything again would
// double the master dataset for one lost row.
func TestRepairWritesOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 2)
	p.send(0, 100)
	p.send(1, 100)
	random := rand.New(rand.NewPCG(3, 4))
	p.master.faults = []fault{some(random, 10, loseRow(random))}
	flush(p)
	p.master.faults = nil
	before := p.count()
	report, err := p.Run(t.Context())
	must(t, err)
	p.wantTruth()
	if n := p.count(); before >= 200 || n != 200 || report.Balance.Repaired() != int64(200-before) {
		t.Errorf("of 200 rows %d were there before and %d after a repair of %d", before, n, report.Balance.Repaired())
	}
}

// count counts the rows of the master dataset.
func (p *plant) count() (n int) {
	p.t.Helper()
	files, err := p.master.Master.Files(p.t.Context())
	must(p.t, err)
	for _, f := range files {
		r, size, err := p.master.Open(p.t.Context(), f.Name)
		must(p.t, err)
		must(p.t, archive.Scan(r, size, func(*archive.Stored) error { n++; return nil }))
	}
	return n
}

// TestWhatCannotBeRepaired publishes nothing, and says which shard lacks what.
func TestWhatCannotBeRepaired(t *testing.T) {
	t.Parallel()
	a, b := memory.ShardID(0), memory.ShardID(1)
	for name, c := range map[string]struct {
		prepare func(p *plant)
		is      []error
		want    []string // parts of the error
		check   func(s doubleentry.Shard) bool
	}{
		"lost, and the log no longer holds it": {
			func(p *plant) {
				p.master.faults = []fault{lose}
				flush(p)
				p.master.faults = nil
				p.log.trim(p.t, a, 5)
			},
			[]error{protocol.ErrMismatch, protocol.ErrExpired},
			[]string{a + ": 20 events in the ledger, 5 rows", "written again from the log: 5, the first", "events in (beginning, 1105:0]: 15 in the ledger and 0 in the master dataset, and the log no longer holds them"},
			func(s doubleentry.Shard) bool { return s.Lost == 15 && s.Repaired == 5 },
		},
		"rows that the log does not have": {
			func(p *plant) {
				flush(p)
				p.put(a, protocol.Event{Position: protocol.Position{Seq: "1008"}, Data: []byte("?")})
			},
			[]error{protocol.ErrMismatch},
			[]string{a + ": 20 events in the ledger, 21 rows", "rows where the log has no event: 1, the first at 1008:0"},
			func(s doubleentry.Shard) bool { return s.Surplus == 1 && s.SurplusAt[0] == "1008:0" && s.Repaired == 0 },
		},
		"a row that is not what was sent": {
			func(p *plant) {
				p.put(a, protocol.Event{Position: protocol.Position{Seq: "1007"}, Data: []byte("?")})
				flush(p)
			},
			[]error{protocol.ErrMismatch},
			[]string{a + ": 20 events on both sides with different checksums", "rows that are not what the log holds at their position: 1, the first at 1007:0"},
			func(s doubleentry.Shard) bool { return s.Differing == 1 },
		},
		"a ledger that counts too many": {
			func(p *plant) {
				flush(p)
				row, _, err := p.ledger.Row(p.t.Context(), a)
				must(p.t, err)
				row.Count++
				_, err = p.ledger.Swap(p.t.Context(), a, row)
				must(p.t, err)
			},
			[]error{protocol.ErrMismatch},
			[]string{"up to the cut the log holds 20 and the ledger counts 21: the ledger is wrong"},
			func(s doubleentry.Shard) bool { return s.Ledger == 21 && s.Master == 20 },
		},
		"a log that expires under the audit": {
			func(p *plant) {
				p.master.faults = []fault{lose}
				flush(p)
				p.log.trim(p.t, a, 5)
				p.Horizon = nil
			},
			[]error{protocol.ErrMismatch},
			[]string{"the log of " + a + " no longer holds all of (beginning, 1140:0]"},
			func(s doubleentry.Shard) bool { return s.Master == 0 },
		},
		"a log that cannot be written again": {
			func(p *plant) {
				p.master.faults = []fault{lose}
				flush(p)
				p.Archive = brokenRepair{p.archiver}
			},
			[]error{protocol.ErrMismatch},
			[]string{"disk full"},
			func(s doubleentry.Shard) bool { return s.Missing > 0 && s.Repaired == 0 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, 2)
			p.send(0, 20)
			p.send(1, 10)
			first, err := p.Run(t.Context())
			must(t, err)
			p = newPlant(t, 2)
			p.send(0, 20)
			p.send(1, 10)
			c.prepare(p)
			_, err = p.Run(t.Context())
			for _, is := range c.is {
				if !errors.Is(err, is) {
					t.Errorf("%v is not %v", err, is)
				}
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error is %v, want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), b) && p.master.faults == nil {
				t.Errorf("the error names %s, which is equal: %v", b, err)
			}
			if pointer, _ := p.ledger.Pointer(t.Context()); pointer.Seq != 0 {
				t.Errorf("%s was published although %s would be the first", pointer.Version, first.Version)
			}
			if versions, _ := p.views.Versions(t.Context()); len(versions) != 0 {
				t.Errorf("attempts are left behind: %v", versions)
			}
			standing, err := p.Standing(t.Context())
			must(t, err)
			if f := standing.Failing; f == nil || !f.Mismatch || standing.Balance.Equal || !c.check(standing.Balance.Shards[0]) {
				t.Errorf("the standing is %+v, the shard %+v", standing, standing.Balance.Shards[0])
			}
			if !strings.Contains(p.logs.String(), "level=ERROR") {
				t.Errorf("no error in the log: %s", p.logs)
			}
		})
	}
}

// put stores a row that did not come from the log.
func (p *plant) put(shard string, e protocol.Event) {
	p.t.Helper()
	_, err := p.master.Master.Put(p.t.Context(), shard, func(w io.Writer) error {
		return archive.Write(w, &definition.Definition{}, logic{}.Run(shard, []protocol.Event{e}))
	})
	must(p.t, err)
}

type brokenRepair struct{ *archive.Archiver }

func (brokenRepair) Repair(context.Context, string, []protocol.Span) error {
	return errors.New("disk full")
}

// halfRepair fails after what it wrote is there.
type halfRepair struct{ *archive.Archiver }

func (h halfRepair) Repair(ctx context.Context, shard string, spans []protocol.Span) error {
	if err := h.Archiver.Repair(ctx, shard, spans); err != nil {
		return err
	}
	return errors.New("the reply was lost")
}

// TestARepairWhoseReplyWasLost is there, and the next run finds nothing to do.
func TestARepairWhoseReplyWasLost(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	p.send(0, 5)
	p.master.faults = []fault{lose}
	flush(p)
	p.master.faults = nil
	p.Archive = halfRepair{p.archiver}
	if _, err := p.Run(t.Context()); !errors.Is(err, protocol.ErrMismatch) || !strings.Contains(err.Error(), "the reply was lost") {
		t.Fatalf("the run gave %v", err)
	}
	p.restart()
	report, err := p.Run(t.Context())
	must(t, err)
	p.wantTruth()
	if n := p.count(); n != 5 || report.Balance.Repaired() != 0 {
		t.Errorf("%d rows are there after the second repair of %d, want 5 of 5", n, report.Balance.Repaired())
	}
}

// TestTheAlarmLasts: until a run balances again, also over restarts and over
// scheduled runs that find nothing new; and what was repaired is told afterwards.
func TestTheAlarmLasts(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	shard := memory.ShardID(0)
	p.send(0, 20)
	_, err := p.Run(t.Context())
	must(t, err)
	files, err := p.master.Files(t.Context())
	must(t, err)

	p.master.hidden[files[0].Name] = p.now.Add(time.Hour) // it is gone after all, and so is the log
	p.log.trim(t, shard, 1)
	since := p.now
	for range 2 {
		if _, err := p.Run(t.Context()); !errors.Is(err, protocol.ErrMismatch) {
			t.Fatalf("a run without one of its files gave %v", err)
		}
		p.now = p.now.Add(minute)
	}
	p.restart()
	if _, err := p.RunIfChanged(t.Context()); !errors.Is(err, protocol.ErrMismatch) {
		t.Fatalf("the scheduled run after it gave %v although nothing is mended", err)
	}
	standing, err := p.Standing(t.Context())
	must(t, err)
	if f := standing.Failing; f == nil || f.Runs != 3 || !f.Since.Equal(since) || standing.Failed != 3 || standing.Last.Result != doubleentry.Failed || standing.Balance.Shards[0].Lost == 0 {
		t.Fatalf("after three failed runs the standing is %+v, %+v", standing, f)
	}

	p.now = p.now.Add(time.Hour) // the file comes back from a backup
	report, err := p.RunIfChanged(t.Context())
	must(t, err)
	if report.Unchanged {
		t.Error("the run that could have ended the alarm did not compare anything")
	}
	p.wantTruth()
	if standing, err = p.Standing(t.Context()); err != nil || standing.Failing != nil || !standing.Balance.Equal || standing.Failed != 3 {
		t.Errorf("after a run that balances the standing is %+v, %v", standing, err)
	}
	if report, err = p.RunIfChanged(t.Context()); err != nil || !report.Unchanged {
		t.Errorf("nothing came, and the run gave %+v, %v", report, err)
	}
}

// TestRunsThatAreCalledOffAreNoFailures: a client that goes away is no alarm.
func TestRunsThatAreCalledOffAreNoFailures(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	p.send(0, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled run gave %v", err)
	}
	if standing, err := p.Standing(t.Context()); err != nil || standing.Failing != nil || standing.Last != nil {
		t.Errorf("the standing is %+v, %v", standing, err)
	}
}

// TestTheTruthOrNothing: whatever mixture of faults, in which order, whatever is
// published is the truth, and once nothing new goes wrong a run publishes all.
func TestTheTruthOrNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 7))
		p := newPlant(t, 2)
		p.engine.checks = random.IntN(2) == 0
		p.Late.Wait = time.Duration(random.IntN(3)) * minute
		p.archiver.FileBytes = 1 + random.Int64N(20)
		all := []fault{lose, double, delay(time.Duration(1+random.IntN(9)) * 30 * time.Second), shuffle(random), loseRow(random), doubleRow(random), swap}
		published := 0
		for range 1 + random.IntN(6) {
			p.master.faults = nil
			for range random.IntN(4) {
				p.master.faults = append(p.master.faults, some(random, 20+random.IntN(80), all[random.IntN(len(all))]))
			}
			p.send(random.IntN(2), 1+random.IntN(25))
			if random.IntN(3) > 0 {
				flush(p)
			}
			report, err := p.Run(t.Context())
			switch {
			case err == nil:
				published++
				if !report.Balance.Equal {
					t.Fatalf("seed %d: published without a balance", seed)
				}
			case !errors.Is(err, protocol.ErrMismatch):
				t.Fatalf("seed %d: %v", seed, err)
			}
			p.wantTruth()
		}
		p.master.faults = nil
		if _, err := p.Run(t.Context()); err != nil {
			t.Fatalf("seed %d: a run when all is well again: %v\n%s", seed, err, p.logs)
		}
		p.wantTruth()
	}
}

// waiting is an engine whose computation lasts until it is told to go on.
type waiting struct {
	batch.Engine
	entered, proceed chan struct{}
}

func (w waiting) Compute(ctx context.Context, job batch.Job) (batch.Result, error) {
	w.entered <- struct{}{}
	<-w.proceed
	return w.Engine.Compute(ctx, job)
}

// Two runs at once would do the same work for one version; and who has left must
// not wait for hours in the process.
func TestRunsTakeTurns(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	p.send(0, 3)
	p.commit(memory.ShardID(0))
	w := waiting{p.Engine, make(chan struct{}), make(chan struct{})}
	p.Engine = w
	ended := make(chan error, 2)
	run := func() { _, err := p.Run(t.Context()); ended <- err }
	go run()
	<-w.entered
	leaving, leave := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := p.Run(leaving); gone <- err }()
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves before the turn comes gets %v", err)
	}
	go run()
	select {
	case <-w.entered:
		t.Error("a second run computes while the first goes on")
	case w.proceed <- struct{}{}:
	}
	must(t, <-ended)
	<-w.entered
	close(w.proceed)
	must(t, <-ended)
}

// Without this, the time between versions begins anew with every process.
func TestLastSealed(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	if _, ok, err := p.LastSealed(t.Context()); ok || err != nil {
		t.Errorf("a version is there before any was made (%v)", err)
	}
	p.send(0, 3)
	p.commit(memory.ShardID(0))
	report, err := p.Run(t.Context())
	must(t, err)
	p.now = p.now.Add(minute)
	p.restart()
	if sealed, ok, err := p.LastSealed(t.Context()); err != nil || !ok || !sealed.Equal(report.Watershed) {
		t.Errorf("the version of %s was sealed at %s (%v, %v)", report.Watershed, sealed, ok, err)
	}
}
