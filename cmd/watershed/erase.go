package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/watershed-data/watershed/internal/batch"
)

func newEraseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "erase (--where CONDITION | --partition-key KEY)",
		Short: "Erase events that must not be kept",
		Long: `erase takes events out of the master dataset, for good, and publishes a version
without them: every event of an id, or every event of a partition key, that was
acknowledged before the command. Older versions and the files that held the
events are deleted. Without --yes it only says how many events it would erase.

The condition names ids: ID == value, or ID in [value, value]; ID is the pipeline's
event id. Nothing but whole ids and keys can be erased, so that all other events
count as they did.

Of each event its place stays: shard, sequence number, arrival and a hash. The log
holds its bytes until they are older than run's --retention. docs/erasure.md says
what else stays where, and for how long.

If the command or the pipeline is killed, give the command again: either nothing
has happened yet, or it is completed.`,
		Example: `  watershed erase --where "order_id == 'A-1704'"
  watershed erase --where "order_id in ['A-1704', 'A-1705']" --yes
  watershed erase --partition-key customer-17 --yes`,
		Args: exactly(),
	}
	connect := addEndpointFlags(cmd, "a stack keeps all events that it took")
	format := addFormatFlag(cmd, "table", "json")
	flags := cmd.Flags()
	where := flags.String("where", "", "a `condition` on the event id, in CEL")
	key := flags.String("partition-key", "", "a partition `key`")
	yes := flags.Bool("yes", false, "erase; without it events are only counted")
	dry := flags.Bool("dry-run", false, "only count the events")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case flags.Changed("where") == flags.Changed("partition-key"):
			return usagef("erase needs either --where or --partition-key")
		case *where == "" && *key == "":
			return usagef("erase needs a condition or a key that is not empty")
		case *yes && *dry:
			return usagef("--yes and --dry-run exclude each other")
		}
		c, err := connect()
		if err != nil {
			return err
		}
		e := &erasing{client: c, form: url.Values{}, json: format.String() == "json", out: cmd.OutOrStdout()}
		for name, text := range map[string]string{"where": *where, "partition-key": *key} {
			if text != "" {
				e.form.Set(name, text)
			}
		}
		return e.run(cmd.Context(), *yes)
	}
	return cmd
}

// erasing is one run of the command.
type erasing struct {
	client *client
	form   url.Values
	json   bool
	out    io.Writer
}

// run counts the events and says so, and then erases them if it is to.
func (e *erasing) run(ctx context.Context, yes bool) error {
	e.form.Set("dry-run", "true")
	found, err := e.ask(ctx)
	if err != nil {
		return err
	}
	if !yes || !e.json {
		if err := e.tell(found); err != nil {
			return err
		}
	}
	if !yes {
		return nil
	}
	e.form.Set("dry-run", "false")
	done, err := e.ask(ctx)
	if err != nil {
		return err
	}
	return e.tell(done)
}

func (e *erasing) ask(ctx context.Context) (*batch.EraseReport, error) {
	body, err := e.client.post(ctx, "/v1/erase", e.form)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var report batch.EraseReport
	if err := json.NewDecoder(body).Decode(&report); err != nil {
		return nil, e.client.unreadable(ctx, err)
	}
	return &report, nil
}

func (e *erasing) tell(r *batch.EraseReport) error {
	if e.json {
		out := json.NewEncoder(e.out)
		out.SetIndent("", "  ")
		return out.Encode(r)
	}
	var text strings.Builder
	switch {
	case r.DryRun && r.Events == 0:
		fmt.Fprintln(&text, "no event that the pipeline has is meant")
	case r.DryRun:
		fmt.Fprintf(&text, "%s to erase; with --yes they go for good\n", events(r.Events))
		out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
		fmt.Fprintln(out, "\nshard\tevents")
		for _, shard := range slices.Sorted(maps.Keys(r.Shards)) {
			fmt.Fprintf(out, "%s\t%d\n", shard, r.Shards[shard])
		}
		_ = out.Flush() // into memory: cannot fail
	case r.Version == "":
		fmt.Fprintln(&text, "nothing was erased")
	default:
		fmt.Fprintf(&text, "erased %s; version %s is without them\n", events(r.Events), r.Version)
		fmt.Fprintln(&text, "the log holds their bytes until the retention period is over; docs/erasure.md says more")
	}
	_, err := io.WriteString(e.out, text.String())
	return err
}

// post sends a form and gives the body of an answer of 200. The caller closes it.
func (c *client) post(ctx context.Context, path string, form url.Values) (io.ReadCloser, error) {
	u := *c.endpoint
	u.Path += path
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.endpoint, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	return nil, c.refusal(resp)
}
