package stack_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"testing"
)

// While CloudFormation deploys another definition, events go on to pass. What carries
// them into the master dataset is of one definition, also when the deployment fails and
// is taken back: nothing that takes part is changed, all of it is made anew beside it
// and the old deleted in the end. Rows that one definition makes and another one counts
// as its own would balance, and be wrong.
func TestAnotherDefinitionChangesNothingThatCarriesEvents(t *testing.T) {
	t.Parallel()
	old := made[onDemand]
	carriers := regexp.MustCompile(`^AWS::(KinesisFirehose::DeliveryStream|Lambda::Function|Glue::Table|IAM::Role|IAM::Policy)$`)
	found := map[string]bool{}
	for id := range old.reaches(t, "AWS::KinesisFirehose::DeliveryStream") {
		kind := old.Resources[id].Type
		if !carriers.MatchString(kind) {
			continue
		}
		found[kind] = true
		if _, same := changed.Resources[id]; same {
			t.Errorf("%s %s is changed under events that are on their way", kind, id)
		}
	}
	if len(found) != 5 {
		t.Errorf("events pass through %v only", slices.Sorted(maps.Keys(found)))
	}
	if old.one(t, "AWS::Glue::Table", "Delivered").at("TableInput", "Name") == changed.one(t, "AWS::Glue::Table", "Delivered").at("TableInput", "Name") {
		t.Error("the two tables cannot be there at the same time")
	}
}

// reaches gives the resources of a type, and all that they refer to, by their logical
// ids.
func (t *template) reaches(test *testing.T, kind string) map[string]bool {
	test.Helper()
	out := map[string]bool{}
	name := regexp.MustCompile(`"(\w+)"`)
	var visit func(id string)
	visit = func(id string) {
		r, ok := t.Resources[id]
		if !ok || out[id] {
			return
		}
		out[id] = true
		text, err := json.Marshal([]any{r.Properties, r.DependsOn})
		if err != nil {
			test.Fatal(err)
		}
		for _, match := range name.FindAllStringSubmatch(string(text), -1) {
			visit(match[1])
		}
	}
	for id := range t.all(test, kind, "") {
		visit(id)
	}
	return out
}
