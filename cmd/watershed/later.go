package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// newLaterCommands gives the commands that the contract announces and this
// release does not have. Each says what works instead.
func newLaterCommands() []*cobra.Command {
	var commands []*cobra.Command
	for _, c := range []struct{ name, short, instead string }{
		{"rejects", "Count rejected events by reason and show examples",
			"rejected events are kept and counted: `watershed query ws_outcomes` gives the counts by reason"},
		{"load", "Load history into the master dataset",
			"`watershed send FILE...` takes history too, as events of the stream"},
		{"erase", "Erase events",
			"keep a person's data out of the events, or start anew with an empty data directory"},
	} {
		commands = append(commands, &cobra.Command{
			Use:                c.name,
			Short:              c.short,
			Long:               fmt.Sprintf("%s is not supported yet in this release; %s.", c.name, c.instead),
			DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error {
				if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
					return cmd.Help()
				}
				return fmt.Errorf("%s is not supported yet in this release; %s", c.name, c.instead)
			},
		})
	}
	return commands
}
