package rejects

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/rowlogic"
)

// place tells rows apart: the master dataset may hold one twice.
type place struct {
	shard    string
	position protocol.Position
}

// search looks for examples.
type search struct {
	Options
	report *Report
	wanted map[string]int // reason -> how many
	found  map[string][]Example
	seen   map[place]bool
	all    bool
}

func (s *search) missing(reason string) int { return s.wanted[reason] - len(s.found[reason]) }

func (s *search) satisfied() bool {
	for reason := range s.wanted {
		if s.missing(reason) > 0 {
			return false
		}
	}
	return true
}

func (s *search) add(r archive.Rejected) {
	at := place{r.Shard, r.Position}
	if s.wanted[r.Reason] == 0 || s.seen[at] {
		return
	}
	s.seen[at] = true
	s.found[r.Reason] = append(s.found[r.Reason], newExample(r))
}

// candidate is a file that holds rejected rows.
type candidate struct {
	file   protocol.File
	newest int64
}

// master looks through the master dataset, files with later arrivals first.
func (s *search) master(ctx context.Context) (err error) {
	release, err := s.Master.Pin(ctx)
	if err != nil {
		return err
	}
	defer release()
	files, err := s.Master.Files(ctx)
	if err != nil {
		return err
	}
	s.report.Searched.OfFiles = len(files)
	if s.satisfied() {
		return nil
	}
	var candidates []candidate
	// Where names begin with a time, the last ones are the newest.
	for i, f := range slices.Backward(files) {
		if len(files)-i > s.Files {
			s.all = false
			break
		}
		err := s.open(ctx, f, func(r *archive.RejectedFile) error {
			if newest, some := r.Newest(); some {
				candidates = append(candidates, candidate{f, newest})
			}
			return nil
		})
		if err != nil {
			return err
		}
		s.report.Searched.Files++
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(b.newest, a.newest) })
	for _, c := range candidates {
		if s.satisfied() {
			return nil
		}
		if s.report.Searched.Rows >= s.Rows {
			s.all = false
			return nil
		}
		if err := s.open(ctx, c.file, s.file); err != nil {
			return err
		}
	}
	return nil
}

func (s *search) file(r *archive.RejectedFile) error {
	s.report.Searched.Rows += r.Rows()
	rows, err := r.Last(s.missing)
	for _, row := range rows {
		s.add(row)
	}
	return err
}

// open opens a file for as long as fn takes.
func (s *search) open(ctx context.Context, f protocol.File, fn func(*archive.RejectedFile) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	in, size, err := s.Master.Open(ctx, f.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	r, err := archive.OpenRejected(in, size)
	if err != nil {
		return err
	}
	return fn(r)
}

// log looks through the events that are not archived yet. They are the newest,
// but a log is read from its older end, so they come last and only add.
func (s *search) log(ctx context.Context) error {
	if len(s.wanted) == 0 {
		return nil
	}
	if s.Log == nil {
		s.all = s.all && s.satisfied()
		return nil
	}
	shards, err := s.Log.Shards(ctx)
	if err != nil {
		return err
	}
	for _, shard := range shards {
		if err := s.shard(ctx, shard.ID); err != nil {
			return err
		}
	}
	return nil
}

// logPage is how many events of the log are looked at together.
const logPage = 2000

func (s *search) shard(ctx context.Context, shard string) error {
	after, err := s.Checkpoints.Load(ctx, shard)
	if err != nil {
		return err
	}
	for {
		left := s.Waiting - s.report.Searched.Waiting
		if left <= 0 {
			s.all = false
			return nil
		}
		page, err := s.Log.Read(ctx, shard, after, min(left, logPage))
		if err != nil {
			return err
		}
		if len(page.Events) > 0 {
			s.events(shard, page.Events)
			after = page.Events[len(page.Events)-1].Position
		}
		if page.AtTip || page.Ended {
			return nil
		}
	}
}

// events runs row logic on events that no layer has stored as rows yet.
func (s *search) events(shard string, events []protocol.Event) {
	s.report.Searched.Waiting += len(events)
	b := s.Logic.Run(shard, events)
	for i, outcome := range b.Outcome {
		if outcome == rowlogic.Rejected {
			s.add(archive.Rejected{Shard: shard, Event: events[i], Reason: b.Reason[i], Detail: b.Detail[i]})
			s.trim(b.Reason[i])
		}
	}
}

// trim keeps what is held of one reason in bounds: the newest.
func (s *search) trim(reason string) {
	if of := s.found[reason]; len(of) > 2*s.Examples {
		slices.SortStableFunc(of, newestFirst)
		clear(of[s.Examples:])
		s.found[reason] = of[:s.Examples]
	}
}
