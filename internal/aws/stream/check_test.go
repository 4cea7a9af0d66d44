package stream_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

// A stream with which answers would be wrong is refused, and every setting is named
// at once.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		says map[string]any // of itself
		want []string       // none: it is right
	}{
		{"provisioned", nil, nil},
		{"on demand", map[string]any{"RecordDistributionStrategy": "USER_PARTITION_KEY", "RetentionPeriodHours": 168}, nil},
		{"an older region that says less", map[string]any{"RecordDistributionStrategy": nil, "MaxRecordSizeInKiB": nil}, nil},
		{"it ignores partition keys", map[string]any{"RecordDistributionStrategy": "AUTO"}, []string{"AUTO", "USER_PARTITION_KEY"}},
		{"it takes large records", map[string]any{"MaxRecordSizeInKiB": 10240}, []string{"10240 KiB", "1024 KiB"}},
		{"it forgets soon", map[string]any{"RetentionPeriodHours": 12}, []string{"12 hours", "24 hours"}},
		{"all of it", map[string]any{"RecordDistributionStrategy": "AUTO", "MaxRecordSizeInKiB": 2048, "RetentionPeriodHours": 1}, []string{"AUTO", "2048", "1 hours", "sales"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, 1, day, meddle(nil, func(operation string, w *httptest.ResponseRecorder) {
				var out map[string]map[string]any
				if operation != "DescribeStreamSummary" || json.Unmarshal(w.Body.Bytes(), &out) != nil {
					return
				}
				for name, value := range c.says {
					out["StreamDescriptionSummary"][name] = value
				}
				w.Body.Reset()
				_ = json.NewEncoder(w.Body).Encode(out)
			}))
			err := p.Check(t.Context())
			if (err == nil) != (c.want == nil) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}
