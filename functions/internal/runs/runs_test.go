package runs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/watershed-data/watershed/functions/internal/runs"
	"github.com/watershed-data/watershed/internal/api"
	"github.com/watershed-data/watershed/internal/serving"
)

const machine = "arn:aws:states:eu-central-1:123456789012:stateMachine:sales"

// open gives the runs of a state machine that answers so; check sees what it is asked.
func open(t *testing.T, status int, answer string, check func(action string, in map[string]string)) *runs.Runs {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		var in map[string]string
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		check(action, in)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	r, err := runs.New(aws.Config{
		Region: "eu-central-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), RetryMaxAttempts: 1,
	}, machine, func() time.Time { return time.Unix(1417392000, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBegin(t *testing.T) {
	t.Parallel()
	for _, full := range []bool{false, true} {
		var name string
		r := open(t, http.StatusOK, `{"executionArn":"x","startDate":1417392001.5}`, func(action string, in map[string]string) {
			if action != "StartExecution" || in["stateMachineArn"] != machine || in["input"] != fmt.Sprintf(`{"full":%v}`, full) {
				t.Errorf("asked %s %v", action, in)
			}
			name = in["name"]
		})
		run, err := r.Begin(t.Context(), full)
		if err != nil {
			t.Fatal(err)
		}
		if run.Run != name || run.State != api.Running || run.Began != "2014-12-01T00:00:01.5Z" || run.Ended != nil {
			t.Errorf("got %+v for %s", run, name)
		}
		// What logging to CloudWatch allows in names, and people find in a list.
		if !regexp.MustCompile(`^20141201T000000Z-[A-Z0-9]{8}$`).MatchString(name) {
			t.Errorf("the run is called %q", name)
		}
	}
}

// Without this, a run that failed looks like one that goes on, or the other way round.
func TestRun(t *testing.T) {
	t.Parallel()
	const began = `"executionArn":"x","stateMachineArn":"y","startDate":1417392001`
	for _, c := range []struct {
		name, answer string
		state        api.RunState
		report, says string
	}{
		{"running", `{` + began + `,"status":"RUNNING"}`, api.Running, "", ""},
		{"done", `{` + began + `,"status":"SUCCEEDED","stopDate":1417392002,"output":"{\"next\":\"done\",\"report\":{\"version\":\"v\"}}"}`, api.Done, `{"version":"v"}`, ""},
		{"skipped", `{` + began + `,"status":"SUCCEEDED","stopDate":1417392002,"output":"{\"next\":\"done\",\"skipped\":true}"}`, api.Done, "", ""},
		{"failed", `{` + began + `,"status":"FAILED","stopDate":1417392002,"error":"Mismatch","cause":"4 events and 3"}`, api.Failed, "", "4 events and 3"},
		{"failed without a cause", `{` + began + `,"status":"FAILED","stopDate":1417392002,"error":"States.Runtime"}`, api.Failed, "", "States.Runtime"},
		{"too slow", `{` + began + `,"status":"TIMED_OUT","stopDate":1417392002}`, api.Failed, "", "took longer"},
		{"stopped", `{` + began + `,"status":"ABORTED","stopDate":1417392002}`, api.Failed, "", "stopped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := open(t, http.StatusOK, c.answer, func(action string, in map[string]string) {
				if want := "arn:aws:states:eu-central-1:123456789012:execution:sales:r-1"; action != "DescribeExecution" || in["executionArn"] != want {
					t.Errorf("asked %s %v", action, in)
				}
			})
			run, err := r.Run(t.Context(), "r-1")
			if err != nil {
				t.Fatal(err)
			}
			if run.State != c.state || string(run.Report) != c.report || !strings.Contains(run.Error, c.says) || (run.Error != "") != (c.says != "") || (run.Ended != nil) != (c.state != api.Running) {
				t.Errorf("got %+v", run)
			}
		})
	}
}

// Without this, a caller reads of executions that are none of the pipeline's, or a
// mistake of theirs is ours.
func TestRunsThatAreNotThere(t *testing.T) {
	t.Parallel()
	for name, asked := range map[string]int{"gone": 1, "a:b": 0, "../x": 0, "": 0, strings.Repeat("a", 81): 0} {
		n := 0
		r := open(t, http.StatusBadRequest, `{"__type":"com.amazonaws.states#ExecutionDoesNotExist","message":"Execution Does Not Exist"}`, func(string, map[string]string) { n++ })
		_, err := r.Run(t.Context(), name)
		if missing := (*serving.Error)(nil); !errors.As(err, &missing) || missing.Code != serving.NotFound || n != asked {
			t.Errorf("%q: %v after %d questions", name, err, n)
		}
	}
	r := open(t, http.StatusBadRequest, `{"__type":"com.amazonaws.states#AccessDeniedException","message":"no"}`, func(string, map[string]string) {})
	if _, err := r.Run(t.Context(), "r"); err == nil || errors.As(err, new(*serving.Error)) {
		t.Errorf("without a permission: %v", err)
	}
	if _, err := runs.New(aws.Config{}, "sales", time.Now); err == nil {
		t.Error("a name is taken for an ARN")
	}
}
