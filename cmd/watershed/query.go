package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func newQueryCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "query VIEW",
		Short: "Print a view: the batch view and what has happened since, merged",
		Long: `query prints the merged answer of a view: exactly the events that are committed
when it is asked, each of them once. By default it gives all dimensions and
measures at the view's grain, ordered by time and then by the dimensions.

With fewer dimensions or a coarser grain, cells are merged; the result is exact.
Times are RFC 3339 or YYYY-MM-DD, in the pipeline's zone if they name none, and
choose buckets by their start: --from counts, --to does not.

The built-in view ws_outcomes counts all events by what became of them.`,
		Example: `  watershed query sales_by_product --from 2014-11-01 --to 2014-11-02
  watershed query sales_by_product --by product --every none --order -revenue --limit 3
  watershed query sales_by_region --by region --measures sales --format csv
  watershed query ws_outcomes`,
		Args: exactly("VIEW, the name of a view"),
	}
	connect := addEndpointFlag(cmd)
	format := addFormatFlag(cmd, "table", "json", "csv")
	flags := cmd.Flags()
	by := flags.StringSlice("by", nil, "the `dimensions` to keep, separated by commas; \"\" merges them all")
	measures := flags.StringSlice("measures", nil, "the `measures` to print, separated by commas")
	from := flags.String("from", "", "the first `time` bucket")
	to := flags.String("to", "", "the `time` before which buckets start")
	every := flags.String("every", "", "a coarser `grain`: 1m 5m 15m 1h 1d or none")
	order := flags.StringSlice("order", nil, "the `columns` to order by, separated by commas; -column is descending")
	limit := flags.Int("limit", 0, "print at most this `number` of rows")
	where := flags.String("where", "", "not supported yet in this release")
	quantile := flags.String("quantile", "", "not supported yet in this release")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *where != "":
			return fmt.Errorf("--where is not supported yet in this release; choose buckets with --from and --to, and filter the rows of --format csv or json")
		case *quantile != "":
			return fmt.Errorf("--quantile is not supported yet in this release; no view has quantiles, use min, max and avg")
		case flags.Changed("limit") && *limit < 1:
			return usagef("--limit must be at least 1")
		}
		c, err := connect()
		if err != nil {
			return err
		}
		params := url.Values{"view": args, "format": {format.String()}}
		lists := map[string][]string{"by": *by, "measures": *measures, "order": *order}
		for name, list := range lists {
			if flags.Changed(name) {
				params.Set(name, strings.Join(list, ","))
			}
		}
		for name, text := range map[string]string{"from": *from, "to": *to, "every": *every} {
			if flags.Changed(name) {
				params.Set(name, text)
			}
		}
		if *limit > 0 {
			params.Set("limit", strconv.Itoa(*limit))
		}
		return c.print(cmd.Context(), http.MethodGet, "/v1/query", params, cmd.OutOrStdout())
	}
	return cmd
}
