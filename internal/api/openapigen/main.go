// Command openapigen writes the OpenAPI document of the API to a file. It knows the
// types of all layers' answers.
package main

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"

	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/load"
	"github.com/watershed-data/watershed/internal/rejects"
	"github.com/watershed-data/watershed/internal/serving"
	"github.com/watershed-data/watershed/internal/verify"
)

// answers are the types of the answers, by the names under which package api refers to
// them.
var answers = map[string]reflect.Type{
	"Status":       reflect.TypeFor[serving.Status](),
	"LookupState":  reflect.TypeFor[serving.LookupState](),
	"Rejects":      reflect.TypeFor[rejects.Report](),
	"BatchReport":  reflect.TypeFor[batch.Report](),
	"Run":          reflect.TypeFor[api.BatchRun](),
	"Load":         reflect.TypeFor[load.Report](),
	"Verification": reflect.TypeFor[verify.Result](),
	"Erasure":      reflect.TypeFor[batch.EraseReport](),
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: openapigen MODULE FILE   (MODULE is the folder of go.mod)")
		os.Exit(2)
	}
	document, err := generate(os.Args[1])
	if err == nil {
		err = os.WriteFile(os.Args[2], document, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "writing the OpenAPI document:", err)
		os.Exit(1)
	}
}

// generate makes the document. module is the folder of go.mod, whose sources say what
// fields mean.
func generate(module string) ([]byte, error) {
	s := newSchemas(module)
	for name, t := range answers {
		s.names[t] = name
	}
	for _, name := range slices.Sorted(maps.Keys(answers)) { // who comes first has its own name
		if err := s.add(answers[name]); err != nil {
			return nil, err
		}
	}
	return api.Describe(s.made)
}
