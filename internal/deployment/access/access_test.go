package access

import (
	"slices"
	"strings"
	"testing"
)

// What a part is safe from, whoever gets hold of a function.
func TestWhatNoFunctionMay(t *testing.T) {
	t.Parallel()
	for _, function := range append(Functions(), Check) {
		if len(Of(function)) == 0 {
			t.Errorf("nothing is granted to %s, so it cannot work", function)
		}
		for _, g := range Of(function) {
			if !slices.IsSorted(g.Actions) {
				t.Errorf("%s, %s: the actions are not in order, so a reader misses one", function, g.Part)
			}
			for _, action := range g.Actions {
				switch {
				case strings.Contains(action, "*"):
					t.Errorf("%s may %s: nobody knows what that will be", function, action)
				case g.Part == Master && action == "s3:DeleteObject":
					t.Errorf("%s may delete events", function)
				case g.Part == Stream && !reads(action):
					t.Errorf("%s may change the stream: %s", function, action)
				case function == Query && !reads(action) && action != "states:StartExecution":
					t.Errorf("a query may %s", action)
				case function == Speed && (g.Part == Master || g.Part == Views || g.Part == Artifacts):
					t.Errorf("the speed layer may %s in the batch layer's bucket: the two entries would not be independent", action)
				}
			}
		}
	}
}

// reads reports whether an action changes nothing.
func reads(action string) bool {
	_, operation, _ := strings.Cut(action, ":")
	for _, verb := range []string{"Get", "BatchGet", "List", "Describe", "Decrypt", "Query"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}

func TestCallsAndTheirActions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		function, service, operation string
		allowed                      bool
	}{
		{Query, "s3", "HeadObject", true},
		{Query, "s3", "ListObjectsV2", true},
		{Query, "s3", "PutObject", false},
		{Query, "dynamodb", "PutItem", false},
		{Batch, "s3", "DeleteObjects", true},
		{Speed, "dynamodb", "PutItem", true},
		{Speed, "dynamodb", "Scan", false},
		{"nobody", "s3", "GetObject", false},
	} {
		if got := Allows(c.function, Action(c.service, c.operation)); got != c.allowed {
			t.Errorf("%s may call %s of %s: %t", c.function, c.operation, c.service, got)
		}
	}
}
