package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/protocol"
)

func newBatchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "batch",
		Short: "Compute and publish a new version of the batch views now",
		Long: `batch makes one batch run and waits for it: it seals every shard, computes all
views from the master dataset up to that cut, makes sure that the master dataset
and the ledger agree on every event up to it, and publishes the result as a
version. Answers stay the same, bit for bit; they only come from other files.

Where that costs less, a run is incremental: it computes the events since the
version before and merges them into that one's views. What comes out is the same.
Once a day, and with --full, all events are looked at.

With --stack the run goes on by itself on AWS; batch follows it until it ends.`,
		Example: `  watershed batch
  watershed batch --format json
  watershed batch --stack watershed-sales`,
		Args: exactly(),
	}
	connect := addEndpointFlag(cmd)
	format := addFormatFlag(cmd, "table", "json")
	full := cmd.Flags().Bool("full", false, "compute all views from all events, whatever it costs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		params := url.Values{}
		if *full {
			params.Set("full", "true")
		}
		text, err := c.batch(cmd.Context(), params, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		if format.String() == "json" {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", bytes.TrimSpace(text))
			return err
		}
		var report batch.Report
		if err := json.Unmarshal(text, &report); err != nil {
			return c.unreadable(cmd.Context(), err)
		}
		return writeReport(cmd.OutOrStdout(), &report)
	}
	return cmd
}

// batch makes a run, waits for its end, and gives its report.
func (c *client) batch(ctx context.Context, params url.Values, notes io.Writer) (json.RawMessage, error) {
	resp, err := c.ask(ctx, http.MethodPost, "/v1/batch", params)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, c.unreadable(ctx, err)
	}
	if resp.StatusCode != http.StatusAccepted {
		return text, nil
	}
	var run api.BatchRun
	if err := json.Unmarshal(text, &run); err != nil {
		return nil, c.unreadable(ctx, err)
	}
	return c.follow(ctx, run.Run, notes)
}

// How a run that goes on by itself is followed.
const (
	followEvery = 2 * time.Second
	followTries = 5 // of one question that is not answered
)

// follow waits for the end of a run that goes on by itself.
func (c *client) follow(ctx context.Context, run string, notes io.Writer) (json.RawMessage, error) {
	began, tell := time.Now(), onTerminal(notes)
	defer tell("")
	for failed := 0; ; {
		var now api.BatchRun
		err := c.getJSON(ctx, "/v1/batch", url.Values{"run": {run}}, &now)
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%w; run %s goes on without this command, and `watershed status` says how it ended", errInterrupted, run)
		case err != nil:
			if failed++; failed == followTries {
				return nil, fmt.Errorf("%w; run %s goes on without this command", err, run)
			}
		case now.State == api.Done:
			return now.Report, nil
		case now.State == api.Failed:
			return nil, fmt.Errorf("run %s failed: %s", run, now.Error)
		default:
			failed = 0
		}
		tell(fmt.Sprintf("run %s goes on since %s", run, time.Since(began).Round(time.Second)))
		pause(ctx, followEvery)
	}
}

// onTerminal gives a function that shows a line in the place of the one before, on a
// terminal only; "" takes it away.
func onTerminal(out io.Writer) func(line string) {
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return func(string) {}
	}
	return func(line string) { fmt.Fprint(out, "\r"+line+"\x1b[K") }
}

// writeReport writes what a run did, for people.
func writeReport(w io.Writer, r *batch.Report) error {
	var text strings.Builder
	at := r.Watershed.UTC().Format("2006-01-02T15:04:05.000Z")
	switch {
	case r.Unchanged:
		fmt.Fprintf(&text, "nothing has come since version %s\n", r.Version)
	case r.Superseded:
		fmt.Fprintln(&text, "another run published a version first; this one's was not needed")
	default:
		fmt.Fprintf(&text, "published version %s, watershed %s\n", r.Version, at)
		fmt.Fprintf(&text, "%s up to the cut; the master dataset and the ledger agree\n", events(r.Events))
		if r.Mode != "" {
			fmt.Fprintf(&text, "%s run: %s\n", r.Mode, r.Why)
		}
	}
	if b := r.Balance; b != nil && b.Doubled {
		fmt.Fprintln(&text, "the master dataset held rows more than once; one for each position was counted")
	}
	if b := r.Balance; b != nil {
		for _, s := range b.Shards {
			if s.Repaired > 0 {
				fmt.Fprintf(&text, "the master dataset lacked %s of %s, now written again from the log\n", events(s.Repaired), s.Shard)
			}
		}
	}
	if r.Discarded > 0 {
		fmt.Fprintf(&text, "%s that the version covers discarded\n", plural(r.Discarded, "real-time item"))
	}
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	if len(r.Cut) > 0 {
		fmt.Fprintln(out, "\nshard\tepoch\tevents\tthrough")
		loads, loaded := 0, int64(0)
		for _, shard := range slices.Sorted(maps.Keys(r.Cut)) {
			c := r.Cut[shard]
			if protocol.IsLoad(shard) {
				loads, loaded = loads+1, loaded+c.Events
				continue
			}
			fmt.Fprintf(out, "%s\t%d\t%d\t%s\n", shard, c.Epoch, c.Events, c.Through)
		}
		if loads > 0 {
			fmt.Fprintf(out, "%s\t\t%d\t\n", plural(int64(loads), "load"), loaded)
		}
	}
	if len(r.Rows) > 0 {
		fmt.Fprintln(out, "\nview\tcells")
		for _, view := range slices.Sorted(maps.Keys(r.Rows)) {
			fmt.Fprintf(out, "%s\t%d\n", view, r.Rows[view])
		}
	}
	if len(r.Seconds) > 0 {
		fmt.Fprintln(out, "\nstep\ttook")
		for _, step := range slices.Sorted(maps.Keys(r.Seconds)) {
			took := time.Duration(r.Seconds[step] * float64(time.Second)).Round(time.Millisecond)
			fmt.Fprintf(out, "%s\t%s\n", step, took)
		}
	}
	_ = out.Flush() // into memory: cannot fail
	_, err := io.WriteString(w, text.String())
	return err
}
