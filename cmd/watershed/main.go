// Command watershed runs a pipeline and talks to one. `watershed help` tells
// how.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/watershed-data/watershed/internal/definition"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // what was asked for failed, or verify found a difference
	exitUsage = 2 // what was asked for cannot be understood
)

// run runs the command line and gives the exit code. The context ends with the
// first interrupt.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	called, err := root.ExecuteContextC(ctx)
	var usage *usageError
	var problems definition.Errors
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(errOut, "watershed: %v\nTry `%s --help`.\n", err, called.CommandPath())
		return exitUsage
	case errors.As(err, &problems): // each begins with its place, as an editor looks for it
		fmt.Fprintln(errOut, problems)
	default:
		fmt.Fprintf(errOut, "watershed: %v\n", err)
	}
	return exitError
}

var errDiffers = errors.New("the merged answer differs from the recompute")

// usageError is a command line that cannot be understood.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// flagError says what a number's flag takes, where the library says how parsing
// failed.
func flagError(err error) error {
	message := err.Error()
	if number := (*strconv.NumError)(nil); errors.As(err, &number) {
		wanted := "write a number"
		if number.Func == "ParseInt" {
			wanted = "write a whole number"
		}
		if errors.Is(number, strconv.ErrRange) {
			wanted = "write a smaller number"
		}
		message = strings.Replace(message, number.Error(), wanted, 1)
	}
	return usagef("%s", message)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "watershed COMMAND",
		Short: "Batch views and real-time views of one stream, merged into one exact answer",
		Long: `Watershed keeps views of a stream of events. One definition, pipeline.yaml,
drives a batch layer that recomputes them, a speed layer that keeps them fresh,
and a serving layer that merges both. The merged answer equals a recompute from
scratch, always; ` + "`watershed verify`" + ` proves it on your data.`,
		Example: `  watershed check pipeline.yaml                  # what the definition says, or what is wrong with it
  watershed run pipeline.yaml --data ./data      # start; events are durable in ./data

  watershed send sales.ndjson                    # in a second terminal
  watershed query sales_by_product --from 2014-11-01 --limit 10
  watershed batch                                # compute a new version of the batch views now
  watershed verify                               # compare every cell with a recompute from raw bytes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			message := fmt.Sprintf("there is no command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				message += fmt.Sprintf("; did you mean %s?", near[0])
			}
			return usagef("%s", message)
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
	root.AddGroup(
		&cobra.Group{ID: groupPipeline, Title: "A pipeline:"},
		&cobra.Group{ID: groupClient, Title: "Talking to a running pipeline:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupPipeline, newCheckCommand(), newRunCommand(), newCostCommand())
	add(groupClient, newSendCommand(), newLoadCommand(), newQueryCommand(), newBatchCommand(), newVerifyCommand(), newEraseCommand(), newRejectsCommand(), newStatusCommand())
	root.AddCommand(newVersionCommand())
	return root
}

const (
	groupPipeline = "pipeline"
	groupClient   = "client"
)

// exactly wants the named arguments, no more and no less.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef("%s needs %s", cmd.Name(), names[len(args)])
		case len(args) > len(names):
			return usagef("%s does not take %q", cmd.Name(), args[len(names)])
		}
		return nil
	}
}
