package stream

import (
	"context"
	"fmt"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Note says that a reader found a shard's tip directly behind a position. It stays
// true for ever: whatever lies behind the position was put later.
type Note struct {
	Through protocol.Position
	At      int64 // milliseconds since 1970-01-01 UTC: before the reader asked
	Keep    int64 // milliseconds for which the stream kept records then
	Ended   bool  // the shard was closed: nothing comes after the position, ever
}

// Notes keeps the notes of a generation, one per shard, and when it was born.
type Notes interface {
	// Note gives a shard's note; false if there is none.
	Note(ctx context.Context, shard string) (Note, bool, error)
	// PutNote stores a shard's note, unless the stored one is later or of the shard's
	// end.
	PutNote(ctx context.Context, shard string, n Note) error
	// Born gives when the stores took up the generation: what arrives from then on is
	// part of the pipeline.
	Born(ctx context.Context) (time.Time, error)
}

const (
	// leastKept is the least time for which Kinesis keeps records, whatever is set.
	leastKept = 24 * time.Hour
	// margin is for clocks that differ, and for arrivals that are approximate.
	margin = time.Hour
	// noteEvery is the least time between notes of a shard that is open.
	noteEvery = time.Minute
	// describeEvery is for how long it is taken as given what the stream says of itself,
	// where a note is written. Where a position is proven, the stream is asked.
	describeEvery = 5 * time.Minute
	// history is how much of an older stream is part of the pipeline: half of what is
	// kept at least, so that there is time to write it into the master dataset.
	history = leastKept / 2
)

// prove makes sure that nothing lies between the position and the first event that
// was read, or the tip. Records go oldest first, so there are these ways:
//
//   - The position's own record was still there when all was read.
//   - A note says that nothing lay behind the position at a time, and what was put
//     since is younger than what the stream lets go of. That is certain for as long
//     as records were kept both then and now.
//   - For the beginning of a shard: the shard, or the pipeline, is so young that
//     nothing of its own can have gone.
//
// Otherwise it is protocol.ErrExpired.
func (l *Log) prove(ctx context.Context, r *reading) error {
	if r.held {
		if r.pages == 1 {
			return nil
		}
		// Between two pages, records may have gone.
		if _, still, err := l.at(ctx, r.shard, r.anchor); err != nil || still {
			return err
		}
	}
	noted, err := l.noted(ctx, r)
	if err != nil || noted {
		return err
	}
	if r.anchor == "" {
		young, err := l.young(ctx, r.shard)
		if err != nil || young {
			return err
		}
		return fmt.Errorf("the shard is older than a day, and nobody noted that it was empty: events may have expired unread; docs/runbook.md says what to do: %w", protocol.ErrExpired)
	}
	return fmt.Errorf("the record there has expired, and nobody noted that it was the last one: events behind it may have expired unread; docs/runbook.md says what to do: %w", protocol.ErrExpired)
}

// noted reports whether a note proves what was read.
func (l *Log) noted(ctx context.Context, r *reading) (bool, error) {
	n, ok := l.remembered(r.shard)
	if !ok || n.Through != r.after || !l.within(n.At, leastKept) && !n.Ended {
		var err error
		if n, ok, err = l.notes.Note(ctx, r.shard); err != nil || !ok {
			return false, err
		}
		l.remember(r.shard, n)
	}
	if n.Through != r.after {
		return false, nil
	}
	s, err := l.summarize(ctx, 0)
	switch {
	case err != nil:
		return false, err
	case n.At < s.created.UnixMilli():
		return false, nil // of another stream, which had the same name
	case n.Ended:
		return true, nil
	}
	return l.within(n.At, min(time.Duration(n.Keep)*time.Millisecond, s.kept)), nil
}

// within reports whether a time in milliseconds is so late that records which
// arrived since cannot have gone from a stream that keeps them for so long.
func (l *Log) within(since int64, kept time.Duration) bool {
	return l.now().Before(time.UnixMilli(since).Add(kept - margin))
}

// young reports whether nothing of a shard that belongs to the pipeline can have
// gone yet, from its first event on.
func (l *Log) young(ctx context.Context, shard string) (bool, error) {
	s, err := l.summarize(ctx, time.Hour) // a stream's creation does not change
	if err != nil {
		return false, err
	}
	if l.within(s.created.UnixMilli(), leastKept) {
		return true, nil
	}
	beginning, err := l.beginning(ctx)
	if err != nil {
		return false, err
	}
	if l.within(beginning.UnixMilli(), leastKept) {
		return true, nil
	}
	// Shards come from others by split and merge. Kinesis does not say when, but which
	// were open at a time, and which were at that time or later: one that was only
	// later is younger.
	at := l.now().Add(margin - leastKept)
	later, err := l.listed(ctx, shard, types.ShardFilterTypeFromTimestamp, at)
	if err != nil || !later {
		return false, err
	}
	then, err := l.listed(ctx, shard, types.ShardFilterTypeAtTimestamp, at)
	return !then, err
}

// listed reports whether a list of shards by time holds one.
func (s *Stream) listed(ctx context.Context, shard string, kind types.ShardFilterType, at time.Time) (bool, error) {
	shards, err := s.list(ctx, &types.ShardFilter{Type: kind, Timestamp: &at})
	return slices.ContainsFunc(shards, func(of protocol.Shard) bool { return of.ID == shard }), err
}

// birth gives when the pipeline was born.
func (l *Log) birth(ctx context.Context) (time.Time, error) {
	l.mu.Lock()
	born := l.born
	l.mu.Unlock()
	if !born.IsZero() {
		return born, nil
	}
	born, err := l.notes.Born(ctx)
	if err != nil {
		return time.Time{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.born = born
	return born, nil
}

// beginning gives the arrival with which the pipeline begins.
func (l *Log) beginning(ctx context.Context) (time.Time, error) {
	born, err := l.birth(ctx)
	return born.Add(-history), err
}

// summary is what a stream says of itself.
type summary struct {
	created time.Time
	kept    time.Duration // for how long it keeps records
	asked   time.Time
}

// summarize asks the stream, unless it did not longer ago than age.
func (l *Log) summarize(ctx context.Context, age time.Duration) (summary, error) {
	l.mu.Lock()
	s := l.summary
	l.mu.Unlock()
	if now := l.now(); !s.asked.IsZero() && now.Sub(s.asked) < age {
		return s, nil
	}
	s = summary{asked: l.now()}
	out, err := l.describe(ctx)
	if err != nil {
		return summary{}, err
	}
	s.created = sdk.ToTime(out.StreamCreationTimestamp)
	s.kept = time.Duration(sdk.ToInt32(out.RetentionPeriodHours)) * time.Hour
	l.mu.Lock()
	defer l.mu.Unlock()
	l.summary = s
	return s, nil
}

func (s *Stream) describe(ctx context.Context) (*types.StreamDescriptionSummary, error) {
	out, err := s.client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: s.name})
	if err != nil {
		return nil, fmt.Errorf("describing the stream %s: %w", *s.name, err)
	}
	return out.StreamDescriptionSummary, nil
}

func (l *Log) remembered(shard string) (Note, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.known[shard]
	return n, ok
}

func (l *Log) remember(shard string, n Note) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if was, ok := l.known[shard]; !ok || !was.Ended && was.At < n.At {
		l.known[shard] = n
	}
}

// note stores a note, unless a late one is known. That it cannot is no error of who
// reads: another reader will, or the position expires some day.
func (l *Log) note(ctx context.Context, shard string, n Note) {
	known, ok := l.remembered(shard)
	if ok && (known.Ended || !n.Ended && time.Duration(n.At-known.At)*time.Millisecond < noteEvery) {
		return
	}
	s, err := l.summarize(ctx, describeEvery)
	if err == nil {
		n.Keep = s.kept.Milliseconds()
		err = l.notes.PutNote(ctx, shard, n)
	}
	if err != nil {
		l.logger.WarnContext(ctx, "the tip of a shard was not noted", "shard", shard, "error", err)
		return
	}
	l.remember(shard, n)
}
