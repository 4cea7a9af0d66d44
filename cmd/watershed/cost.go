package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/watershed-data/watershed/internal/cost"
	"github.com/watershed-data/watershed/internal/definition"
)

func newCostCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cost FILE",
		Short: "Estimate what a definition costs on AWS in a month",
		Long: `cost estimates the monthly bill of a pipeline on AWS, by service, from a table of
list prices with its date and region. It says what dominates the bill, what to
change and how much that saves, and everything that it assumed. It is an
estimate, not an offer: it needs no account and asks nobody. It needs no running
pipeline.`,
		Example: `  watershed cost pipeline.yaml --events-per-second 1000
  watershed cost pipeline.yaml --events-per-second 250 --event-bytes 2000 --groups 5000 --format json`,
		Args: exactly("FILE, the definition"),
	}
	format := addFormatFlag(cmd, "table", "json", "csv")
	var t cost.Traffic
	flags := cmd.Flags()
	flags.Float64Var(&t.EventsPerSecond, "events-per-second", 0, "how many events come, on average (required)")
	flags.IntVar(&t.EventBytes, "event-bytes", 500, "bytes of an event with its partition key")
	flags.IntVar(&t.Groups, "groups", 100, "combinations of dimension values in use at a time, in each view")
	flags.Float64Var(&t.QueriesPerSecond, "queries-per-second", 1, "how many queries come, on average")
	flags.IntVar(&t.Months, "months", 1, "months of events that the master dataset holds")
	flags.IntVar(&t.Shards, "shards", 0, "shards of a provisioned stream; 0 is a stream on demand")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("events-per-second") {
			return usagef("cost needs --events-per-second, how many events come on average")
		}
		def, err := definition.Load(args[0])
		if err != nil {
			return err
		}
		estimate, err := cost.New(def, t)
		var wrong *cost.FieldError
		if errors.As(err, &wrong) {
			return usagef("%s %s", costFlags[wrong.Field], wrong.Message)
		}
		if err != nil {
			return err
		}
		return writeEstimate(cmd.OutOrStdout(), estimate, format.String())
	}
	return cmd
}

// costFlags are the flags that set the fields of cost.Traffic.
var costFlags = map[string]string{
	"EventsPerSecond":  "--events-per-second",
	"EventBytes":       "--event-bytes",
	"Groups":           "--groups",
	"QueriesPerSecond": "--queries-per-second",
	"Months":           "--months",
	"Shards":           "--shards",
}

func writeEstimate(out io.Writer, e *cost.Estimate, format string) error {
	switch format {
	case "json":
		return json.NewEncoder(out).Encode(e)
	case "csv":
		w := csv.NewWriter(out)
		_ = w.Write([]string{"service", "what", "quantity", "unit", "usd"}) // Flush keeps the error
		for _, l := range e.Lines {
			_ = w.Write([]string{l.Service, l.What, strconv.FormatFloat(l.Quantity, 'f', 3, 64), l.Unit, strconv.FormatFloat(l.USD, 'f', 4, 64)})
		}
		w.Flush()
		return w.Error()
	}
	_, err := io.WriteString(out, e.Text())
	return err
}
