package local

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

// appendTo, set to a data directory, makes this test binary a child that appends
// to it until it is killed.
const appendTo = "WATERSHED_TEST_APPEND_TO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(appendTo); dir != "" {
		if err := appendUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendUntilKilled prints each event that was acknowledged, and where.
func appendUntilKilled(dir string) error {
	s, err := Open(dir, Options{Pipeline: "sales", Shards: 2})
	if err != nil {
		return err
	}
	var out sync.Mutex
	failed := make(chan error)
	for worker := range 4 {
		go func() {
			for i := 0; ; i++ {
				var records []protocol.Record
				for j := range 1 + i%3 {
					id := fmt.Sprintf("%d-%d-%d-%d", os.Getpid(), worker, i, j)
					records = append(records, protocol.Record{Data: []byte(id), PartitionKey: id})
				}
				placed, err := s.Log().Append(context.Background(), records)
				if err != nil {
					failed <- err
					return
				}
				var lines strings.Builder
				for k, p := range placed {
					fmt.Fprintf(&lines, "%s %s %s\n", records[k].Data, p.Shard, p.Seq)
				}
				out.Lock()
				_, _ = os.Stdout.WriteString(lines.String())
				out.Unlock()
			}
		}()
	}
	return <-failed
}

// A process is killed at some moments of its work, the first ones while it
// creates the directory: what it acknowledged is there, where it said, once, in
// order.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acked := map[string]protocol.Placed{}
	for _, lines := range []int{0, 1, 40, 300, 7} {
		appendAndKill(t, dir, lines, acked)
	}
	s := openStore(t, dir, Options{Shards: 2})
	found := map[string]protocol.Placed{}
	for shard := range uint32(2) {
		id := shardID(shard)
		var last protocol.Position
		for _, e := range readShard(t, s.Log(), id, protocol.Position{}, 100) {
			if _, twice := found[string(e.Data)]; twice {
				t.Errorf("event %s is there twice", e.Data)
			}
			if !e.Position.After(last) {
				t.Errorf("%s comes after %s", e.Position, last)
			}
			last = e.Position
			found[string(e.Data)] = protocol.Placed{Shard: id, Seq: e.Position.Seq}
		}
	}
	for event, placed := range acked {
		if found[event] != placed {
			t.Errorf("event %s was acknowledged at %v; found at %v", event, placed, found[event])
		}
	}
	if len(acked) < 348 {
		t.Errorf("only %d events were acknowledged", len(acked))
	}
}

// appendAndKill starts a child and kills it after it acknowledged some events.
func appendAndKill(t *testing.T, dir string, lines int, acked map[string]protocol.Placed) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), appendTo+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(out)
	for n := 0; ; n++ {
		if n == lines {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if !scanner.Scan() {
			break
		}
		// A line cut by the kill has fewer digits: its event may be there or not.
		var event string
		var p protocol.Placed
		if _, err := fmt.Sscan(scanner.Text(), &event, &p.Shard, &p.Seq); err == nil && len(p.Seq) == baseDigits+numberDigits {
			acked[event] = p
		}
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child ended by itself: %v", err)
	}
}
