//go:build clients

package aws_test

import (
	"testing"
)

// A text stays what it was first, whoever comes later, and whatever reply was lost.
func TestJobsKeepTheFirstText(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	o, in := inNewBucket(t), newBucket(t)
	jobs := over(t, ministack, o, first(replyLost, "PUT")).Jobs(in, "g")
	if text, ok, err := jobs.Get(ctx, "run/1.json"); ok || err != nil {
		t.Errorf("before anything is stored there is %q (%v)", text, err)
	}
	for _, text := range []string{"one", "two"} {
		if there, err := jobs.Put(ctx, "run/1.json", []byte(text)); string(there) != "one" || err != nil {
			t.Errorf("after %q was stored, there is %q (%v)", text, there, err)
		}
	}
	if text, ok, err := open(t, ministack, o).Jobs(in, "g").Get(ctx, "run/1.json"); string(text) != "one" || !ok || err != nil {
		t.Errorf("in another process there is %q, %t (%v)", text, ok, err)
	}
	if _, ok, err := open(t, ministack, o).Jobs(in, "other").Get(ctx, "run/1.json"); ok || err != nil {
		t.Errorf("another generation has the text too (%v)", err)
	}
	if uri, want := jobs.URI("run/1.json"), "s3://"+in+"/jobs/g/run/1.json"; uri != want {
		t.Errorf("an engine finds it at %s, want %s", uri, want)
	}
}
