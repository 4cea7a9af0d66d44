package firehose_test

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/firehose"
	"github.com/watershed-data/watershed/internal/memory"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestPayload answers a payload as Firehose sends it; beside it lies what is to be
// answered. In the order of its records: a sale, a reject, three events of an
// aggregate of which one is dropped and one lies in the wrong shard, bytes that are
// no JSON, a record that did not come by the stream, and a stray of which the
// stream no longer says what it was.
func TestPayload(t *testing.T) {
	t.Parallel()
	def, err := definition.Load("../../examples/sales/pipeline.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h, err := firehose.NewHandler(def, source{memory.NewLog(2)}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/stream.json")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, a := range invoke(t, h, text) {
		fmt.Fprintf(&got, "%s %s\n%s\n", a.RecordID, a.Result, a.Data)
	}
	const golden = "testdata/stream.answer"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the answer is\n%s\nwant\n%s", &got, want)
	}
}
