package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

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

It exits with 1 if anything differs. The pipeline goes on meanwhile. It needs memory
for the cells, not for the events; more cells than fit are compared in parts, each
of which goes through all events again.`,
		Example: `  watershed verify
  watershed verify --view sales_by_product
  watershed verify --format json`,
		Args: exactly(),
	}
	connect := addEndpointFlags(cmd, "every version of a stack was compared with its ledger before it was published, as `watershed status --stack` shows")
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
		result, err := c.verify(cmd.Context(), params, cmd.ErrOrStderr())
		if err != nil {
			return err
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

// verify asks for a verification; on a terminal it shows how far that is.
func (c *client) verify(ctx context.Context, params url.Values, notes io.Writer) (*verify.Result, error) {
	var result verify.Result
	terminal, ok := notes.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return &result, c.getJSON(ctx, "/v1/verify", params, &result)
	}
	params.Set("progress", "true")
	body, err := c.do(ctx, http.MethodGet, "/v1/verify", params)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := readVerification(body, func(events, of int64) {
		fmt.Fprintf(notes, "\r%s %3.0f%%  %s of %s events\x1b[K", bar(part(events, of)), 100*part(events, of), grouped(events), grouped(of))
	})
	fmt.Fprint(notes, "\r\x1b[K")
	var told toldError
	switch {
	case errors.As(err, &told):
		return nil, err
	case err == nil:
		err = json.Unmarshal(text, &result)
	}
	if err != nil {
		return nil, c.unreadable(ctx, err)
	}
	return &result, nil
}

// toldError is what a pipeline says went wrong when it had begun to answer.
type toldError string

func (e toldError) Error() string { return string(e) }

// readVerification reads an answer of /v1/verify?progress=true and gives the result.
func readVerification(body io.Reader, progress func(events, of int64)) (result json.RawMessage, err error) {
	for lines := json.NewDecoder(body); ; {
		var line struct {
			Progress *struct{ Events, Of int64 }
			Result   json.RawMessage
			Error    *struct{ Message string }
		}
		if err := lines.Decode(&line); err != nil {
			return nil, fmt.Errorf("it broke off: %w", err)
		}
		switch {
		case line.Error != nil:
			return nil, toldError(line.Error.Message)
		case line.Result != nil:
			return line.Result, nil
		case line.Progress != nil:
			progress(line.Progress.Events, line.Progress.Of)
		}
	}
}
