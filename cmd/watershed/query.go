package main

import (
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

Where lookups describe a dimension, its attributes are named with a point, as in
product.category, in --by, --where and --order.

The built-in view ws_outcomes counts all events by what became of them.`,
		Example: `  watershed query sales_by_product --from 2014-11-01 --to 2014-11-02
  watershed query sales_by_product --by product --every none --order -revenue --limit 3
  watershed query sales_by_product --by product.category --where "product.category != 'tea'"
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
	every := flags.String("every", "", "a coarser `grain`: 1m 5m 15m 1h 1d 1w 1mo or none (default as the view keeps each bucket)")
	order := flags.StringSlice("order", nil, "the `columns` to order by, separated by commas; -column is descending")
	limit := flags.Int("limit", 0, "print at most this `number` of rows")
	where := flags.String("where", "", "a `condition` on dimensions and their attributes, in CEL: \"product == 'tea'\"")
	quantile := flags.StringSlice("quantile", nil, "the `quantiles` to print of measures that have them, from 0 to 1 (default 0.5,0.9,0.99)")
	cursor := flags.String("cursor", "", "go on behind a page: the `next` of its --format json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if flags.Changed("limit") && *limit < 1 {
			return usagef("--limit must be at least 1")
		}
		c, err := connect()
		if err != nil {
			return err
		}
		if format.String() == "csv" {
			c.notes = cmd.ErrOrStderr()
		}
		params := url.Values{"view": args, "format": {format.String()}}
		lists := map[string][]string{"by": *by, "measures": *measures, "order": *order, "quantile": *quantile}
		for name, list := range lists {
			if flags.Changed(name) {
				params.Set(name, strings.Join(list, ","))
			}
		}
		for name, text := range map[string]string{"from": *from, "to": *to, "every": *every, "where": *where, "cursor": *cursor} {
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
