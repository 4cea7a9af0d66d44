package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func newStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Print how the pipeline stands: shards, lag, version, ledger against master dataset",
		Long: `status prints how far each shard is, which version of the batch views is current
and how many events the master dataset and the ledger have up to its cut, how the
last batch run ended, what became of all events, and the views that can be
queried.

While the definition is being changed it says how far the recompute is. When batch
runs fail it says so, since when and why, until one succeeds; and where
ledger and master dataset disagree, by how much in which shard. docs/runbook.md
says what to do.`,
		Example: `  watershed status
  watershed status --format json`,
		Args: exactly(),
	}
	connect := addEndpointFlag(cmd)
	format := addFormatFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		return c.print(cmd.Context(), http.MethodGet, "/v1/status", url.Values{"format": {format.String()}}, cmd.OutOrStdout())
	}
	return cmd
}
