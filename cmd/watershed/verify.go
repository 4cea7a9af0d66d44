package main

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/watershed-data/watershed/internal/verify"
)

func newVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Compare every cell of the merged answer with a recompute from raw bytes",
		Long: `verify takes one snapshot of the merged answer and recomputes it from scratch: the
raw bytes of exactly the events that the snapshot holds go through the oracle, a
second, plain implementation that shares no code with the layers. It counts and
hashes the events again, and compares the figures with the ledger's and every
cell with the answer's.

It exits with 1 if anything differs. It needs memory for the cells, not for the
events, and the pipeline goes on meanwhile.`,
		Example: `  watershed verify
  watershed verify --view sales_by_product
  watershed verify --format json`,
		Args: exactly(),
	}
	connect := addEndpointFlag(cmd)
	format := addFormatFlag(cmd, "table", "json")
	view := cmd.Flags().String("view", "", "the `view` to compare (default: all)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		params := url.Values{}
		if *view != "" {
			params.Set("view", *view)
		}
		body, err := c.do(cmd.Context(), http.MethodGet, "/v1/verify", params)
		if err != nil {
			return err
		}
		defer body.Close()
		var result verify.Result
		if err := json.NewDecoder(body).Decode(&result); err != nil {
			return c.unreadable(cmd.Context(), err)
		}
		write := result.WriteTable
		if format.String() == "json" {
			write = result.WriteJSON
		}
		if err := write(cmd.OutOrStdout()); err != nil {
			return err
		}
		if !result.Equal {
			return errDiffers
		}
		return nil
	}
	return cmd
}
