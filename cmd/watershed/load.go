package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/load"
)

func newLoadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "load FILE...",
		Short: "Load history from files into the master dataset",
		Long: `load takes the events of files into the master dataset, beside those of the
stream. They are part of every answer from the next version on, all of a file at
once. Files are read as send reads them: .ndjson, .csv and .tsv, also with .gz,
and - is standard input.

A file is loaded once. The pipeline remembers its content: loading it again, under
any name, changes nothing, so a load that was cut off is simply run again. Once
load says that a file is accepted, it is durable and will be in the master
dataset, whatever happens to this command or to the pipeline.

Duplicates by event id are removed within a file, but not between files or between
a file and the stream. To let history and stream meet without overlap, name the
TIME from which on the stream has the events: --before takes only older ones, by
the pipeline's event time. An event whose time cannot be read is taken, and counts
as rejected.`,
		Example: `  watershed load history-2013.csv.gz history-2014.csv.gz
  watershed load everything.ndjson --before 2014-11-01T00:00:00Z
  watershed batch                                # a version that holds them, now`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("load needs FILE, the events; - is standard input")
			}
			return nil
		},
	}
	connect := addEndpointFlags(cmd, "put the events into its stream with `watershed send --stack`")
	flags := cmd.Flags()
	before := flags.String("before", "", "take only events older than this `time`, such as 2014-11-01 or 2014-11-01T00:00:00Z")
	form := flags.String("input", "", "`format` of files whose names do not tell: ndjson, csv or tsv (default ndjson)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if flags.Changed("before") && *before == "" {
			return usagef("--before needs a time")
		}
		files, err := inputs(args, *form)
		if err != nil {
			return err
		}
		c, err := connect()
		if err != nil {
			return err
		}
		p, err := c.pipeline(cmd.Context())
		if err != nil {
			return err
		}
		l := &loading{client: c, pipeline: p, before: *before, stdin: cmd.InOrStdin(), out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr()}
		return l.run(cmd.Context(), files)
	}
	return cmd
}

// loading is one run of the command.
type loading struct {
	client   *client
	pipeline *pipeline
	before   string // "": all events
	stdin    io.Reader
	out      io.Writer
	notes    io.Writer
}

func (l *loading) run(ctx context.Context, files []input) error {
	loaded := false
	for i := range files {
		fresh, err := l.file(ctx, &files[i])
		if err != nil {
			return err
		}
		loaded = loaded || fresh
	}
	if loaded {
		fmt.Fprintln(l.out, "visible from the next version; `watershed batch` makes one now")
	}
	return nil
}

// file loads one file and waits until it is in the master dataset; fresh says that
// it was not there before.
func (l *loading) file(ctx context.Context, in *input) (fresh bool, err error) {
	report, err := l.upload(ctx, in)
	if err != nil {
		return false, err
	}
	l.tell(in.name, report)
	if report.Load == "" || report.Loaded != nil {
		return false, nil
	}
	return true, l.wait(ctx, in.name, report)
}

// tell says what the pipeline took.
func (l *loading) tell(name string, r *load.Report) {
	left := ""
	if r.Newer > 0 {
		left = fmt.Sprintf("; left out %s not older than %s", events(r.Newer), *r.Before)
	}
	switch {
	case r.Load == "":
		fmt.Fprintf(l.out, "%s: no events to load%s\n", name, left)
	case r.Already && r.Loaded == nil:
		fmt.Fprintf(l.out, "%s: already accepted at %s, %s (%s); it is on its way\n", name, *r.Accepted, events(r.Events), r.Load)
	case r.Already:
		fmt.Fprintf(l.out, "%s: already loaded at %s, %s (%s); nothing changed\n", name, *r.Accepted, events(r.Events), r.Load)
	default:
		fmt.Fprintf(l.out, "%s: accepted %s as %s%s\n", name, events(r.Events), r.Load, left)
	}
}

// upload sends a file's events and gives what the pipeline says.
func (l *loading) upload(ctx context.Context, in *input) (*load.Report, error) {
	up := &upload{sum: sha256.New(), trailer: http.Header{api.ContentTrailer: nil}}
	in.content = up.sum
	done := newProgress(l.notes, max(in.size, 0))
	source, err := in.open(l.stdin, l.pipeline, "", done)
	if err != nil {
		return nil, err
	}
	defer source.close()
	for _, note := range source.notes {
		fmt.Fprintf(l.notes, "watershed: note: %s\n", note)
	}
	body, feed := io.Pipe()
	read := make(chan error, 1)
	go func() {
		err := up.write(source, feed)
		_ = feed.CloseWithError(err)
		read <- err
	}()
	done.start(&up.events)
	params := url.Values{"name": {legible(filepath.Base(in.name))}}
	if l.before != "" {
		params.Set("before", l.before)
	}
	report, err := l.client.load(ctx, params, body, up.trailer)
	_ = body.Close() // the reading ends, if the answer came before it did
	reading := l.readEnd(ctx, read)
	done.stop()
	if reading != nil && !errors.Is(reading, io.ErrClosedPipe) {
		return nil, fmt.Errorf("%w; nothing of %s was loaded", l.broken(reading), in.name)
	}
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", in.name, err)
	}
	return report, nil
}

// legible gives a file's name as people can read it: it is only told.
func legible(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, name)
}

// readEnd waits until the file is let go; standard input may never give another
// byte, and is left behind by an interrupt.
func (l *loading) readEnd(ctx context.Context, read <-chan error) error {
	select {
	case err := <-read:
		return err
	case <-ctx.Done():
		return nil
	}
}

// broken says of an event that is too large what load can do about it.
func (l *loading) broken(err error) error {
	var oversized *oversizedError
	if errors.As(err, &oversized) {
		return fmt.Errorf("%s: the event is larger than 1 MiB, which is the most that an event may have; make it smaller or take it out of the file", oversized.place)
	}
	return err
}

// sendEvery is how long events wait for others at most: the pipeline gives up a
// sender of whom nothing comes.
const sendEvery = 30 * time.Second

// upload is one file on its way.
type upload struct {
	sum     hash.Hash // of the file's content
	trailer http.Header
	events  atomic.Int64
}

// write writes a file's events as frames. The hash of its content, which is known
// at its end, goes into the trailer.
func (u *upload) write(source *reader, to io.Writer) error {
	frames := load.NewFrameWriter(to)
	for sent := time.Now(); ; {
		e, err := source.next()
		if errors.Is(err, io.EOF) {
			u.trailer.Set(api.ContentTrailer, hex.EncodeToString(u.sum.Sum(nil)))
			return frames.Close()
		}
		if err != nil {
			return err
		}
		if err := frames.Write(load.Event{Line: int64(e.to), Data: e.data}); err != nil {
			return err
		}
		u.events.Add(1)
		if now := time.Now(); now.Sub(sent) > sendEvery {
			if err := frames.Flush(); err != nil {
				return err
			}
			sent = now
		}
	}
}

// load posts a load's events.
func (c *client) load(ctx context.Context, params url.Values, body io.Reader, trailer http.Header) (*load.Report, error) {
	u := *c.endpoint
	u.Path += "/v1/load"
	u.RawQuery = params.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.endpoint, err)
	}
	req.Trailer = trailer
	req.Header.Set("Content-Type", api.FramesType)
	req.Header.Set("Expect", "100-continue") // what is refused at once need not be sent
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w; it was not accepted as far as this command knows: load it again, which changes nothing if it was", c.explain(ctx, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, c.refusal(resp)
	}
	var report load.Report
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil {
		return nil, c.unreadable(ctx, err)
	}
	return &report, nil
}

// wait shows how an accepted load becomes rows of the master dataset.
func (l *loading) wait(ctx context.Context, name string, report *load.Report) error {
	done := newProgress(l.notes, report.Events)
	done.start(&done.read)
	defer done.stop()
	if report.Waiting {
		fmt.Fprintf(l.notes, "watershed: note: the definition is being changed; %s waits until that is complete\n", name)
	}
	start := time.Now()
	goesOn := fmt.Sprintf("%s is accepted and goes into the master dataset without this command; `watershed load %s` again waits for it", name, name)
	for report.Loaded == nil {
		pause(ctx, 100*time.Millisecond)
		var now load.Report
		if err := l.client.getJSON(ctx, "/v1/load", url.Values{"load": {report.Load}}, &now); err != nil {
			return fmt.Errorf("%w; %s", err, goesOn)
		}
		if now.Error != "" {
			return fmt.Errorf("bringing %s into the master dataset failed and is tried again: %s; %s", name, now.Error, goesOn)
		}
		report = &now
		done.read.Store(report.Archived)
	}
	fmt.Fprintf(l.out, "%s: in the master dataset after %s\n", name, time.Since(start).Round(time.Millisecond))
	return nil
}
