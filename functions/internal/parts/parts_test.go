package parts_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/watershed-data/watershed/functions/internal/parts"
	"github.com/watershed-data/watershed/internal/deployment"
)

// account is an endpoint for a stream that says of itself what strategy is, and for
// tables that are empty.
type account struct {
	strategy string
	asked    map[string]int // by operation
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	a.asked[operation]++
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if operation == "DescribeStreamSummary" {
		fmt.Fprintf(w, `{"StreamDescriptionSummary":{"StreamName":"sales","RetentionPeriodHours":24,"RecordDistributionStrategy":%q}}`, a.strategy)
		return
	}
	fmt.Fprint(w, "{}")
}

func open(t *testing.T, a *account) *parts.Parts {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_ENDPOINT_URL": server.URL,
		deployment.Definition: "../../../examples/sales/pipeline.yaml", deployment.Stream: "sales", deployment.Items: "items", deployment.Ledger: "ledger",
	} {
		t.Setenv(name, value)
	}
	p, err := parts.Open(t.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A function does nothing with a stream that would make its answers wrong, and asks
// about it only until it is right.
func TestReady(t *testing.T) {
	a := &account{strategy: "AUTO", asked: map[string]int{}}
	p := open(t, a)
	if len(a.asked) > 0 {
		t.Errorf("making the parts asked for %v: a function that is never invoked costs", a.asked)
	}
	store, err := p.Tables()
	if err != nil {
		t.Fatal(err)
	}
	ready := p.Ready(store)
	if err := ready(t.Context()); err == nil || !strings.Contains(err.Error(), "AUTO") || a.asked["PutItem"] > 0 {
		t.Errorf("a stream without partition keys, after %v: %v", a.asked, err)
	}
	a.strategy = "USER_PARTITION_KEY"
	for range 3 {
		if err := ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if a.asked["DescribeStreamSummary"] != 2 || a.asked["PutItem"] != 1 || a.asked["GetItem"] != 1 {
		t.Errorf("it asked for %v", a.asked)
	}
}

// What is not in the environment is named, all of it at once.
func TestWhatIsMissingIsNamed(t *testing.T) {
	p := open(t, &account{asked: map[string]int{}})
	for _, name := range []string{deployment.Master, deployment.Views} {
		t.Setenv(name, "")
	}
	_, err := p.Store(0)
	if err == nil || !strings.Contains(err.Error(), deployment.Master) || !strings.Contains(err.Error(), deployment.Views) {
		t.Errorf("got %v", err)
	}
	t.Setenv(deployment.Items, "")
	if _, err := p.Tables(); err == nil || !strings.Contains(err.Error(), deployment.Items) {
		t.Errorf("got %v", err)
	}
}
