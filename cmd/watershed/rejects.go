package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func newRejectsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rejects",
		Short: "Count rejected events by reason and show examples",
		Long: `rejects tells why events were rejected: how many for each reason, and the newest
few of them with their position, their arrival, what exactly was wrong, and their
bytes. Dropped and duplicate events are counted apart.

The counts are exact. Examples are searched in the master dataset and among the
newest events of the log; the search is bounded, and says what it left out.`,
		Example: `  watershed rejects
  watershed rejects --reason "negative price" --format json`,
		Args: exactly(),
	}
	connect := addEndpointFlag(cmd)
	format := addFormatFlag(cmd, "table", "json", "csv")
	reason := cmd.Flags().String("reason", "", "one `reason` only, with more examples")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		params := url.Values{"format": {format.String()}}
		if *reason != "" {
			params.Set("reason", *reason)
		}
		return c.print(cmd.Context(), http.MethodGet, "/v1/rejects", params, cmd.OutOrStdout())
	}
	return cmd
}
