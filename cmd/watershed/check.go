package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/lookup"
)

func newCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Print what a definition says, or everything that is wrong with it",
		Long: `check reads a pipeline definition and prints what it understood. If something is
wrong, it prints every error with file, line and column and what to write
instead, and exits with 1. It needs no running pipeline.

With --against it also says what running FILE on the data of another definition
means: whether everything is recomputed, and because of what.`,
		Example: `  watershed check pipeline.yaml
  watershed check new.yaml --against pipeline.yaml`,
		Args: exactly("FILE, the definition"),
	}
	against := cmd.Flags().String("against", "", "another definition, `FILE`, whose data FILE would go on with")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		def, err := definition.Load(args[0])
		if err != nil {
			return err
		}
		tables, err := lookup.Open(def, nil)
		if err != nil {
			return err
		}
		text := def.Describe() + tables.Describe()
		if *against != "" {
			before, err := definition.Load(*against)
			if err != nil {
				return err
			}
			text += "\n" + compare(before, def)
		}
		_, err = io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}

// compare says what going from one definition to another means for the data.
func compare(before, now *definition.Definition) string {
	differences := definition.Differences(before, now)
	switch {
	case before.Pipeline != now.Pipeline:
		return fmt.Sprintf("against %s: another pipeline, %s; the data of one cannot go on under the other\n", before.File, before.Pipeline)
	case differences == nil:
		return fmt.Sprintf("against %s: it decides the same answers, nothing is recomputed\n", before.File)
	}
	return fmt.Sprintf("against %s: it decides other answers, everything is recomputed from the raw events\n  %s\n", before.File, strings.Join(differences, "\n  "))
}
