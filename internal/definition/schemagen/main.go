// Command schemagen writes the JSON Schema of pipeline.yaml to a file.
package main

import (
	"fmt"
	"os"

	"github.com/watershed-data/watershed/internal/definition"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: schemagen FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], definition.Schema(), 0o644); err != nil {
		fmt.Fprintf(os.Stderr, "writing the schema: %v\n", err)
		os.Exit(1)
	}
}
