package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/watershed-data/watershed/internal/definition"
)

func newCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Print what a definition says, or everything that is wrong with it",
		Long: `check reads a pipeline definition and prints what it understood. If something is
wrong, it prints every error with file, line and column and what to write
instead, and exits with 1. It needs no running pipeline.`,
		Example: `  watershed check pipeline.yaml`,
		Args:    exactly("FILE, the definition"),
		RunE: func(cmd *cobra.Command, args []string) error {
			def, err := definition.Load(args[0])
			var problems definition.Errors
			if errors.As(err, &problems) {
				fmt.Fprintln(cmd.ErrOrStderr(), problems)
				return errSaid
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), def.Describe())
			return err
		},
	}
}
