package local

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

// appendTo, set to a data directory, makes this test binary a child that appends
// to it, and splits and merges its shards, until it is killed.
const appendTo = "WATERSHED_TEST_APPEND_TO"

// workers of a child append at once.
const workers = 4

func TestMain(m *testing.M) {
	if dir := os.Getenv(appendTo); dir != "" {
		if err := appendUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendUntilKilled prints each event that was acknowledged, and where, and how
// many shards there were after each reshard.
func appendUntilKilled(dir string) error {
	s, err := Open(dir, Options{Pipeline: "sales", Shards: 2})
	if err != nil {
		return err
	}
	var out sync.Mutex
	print := func(lines string) {
		out.Lock()
		defer out.Unlock()
		_, _ = os.Stdout.WriteString(lines)
	}
	failed := make(chan error)
	go func() {
		for random := rand.New(rand.NewPCG(uint64(os.Getpid()), 1)); ; {
			if err := reshardOnce(context.Background(), s.Log(), random); err != nil {
				failed <- err
				return
			}
			print(fmt.Sprintf("shards %d .\n", len(s.log.seen.Load().shards)))
		}
	}()
	for worker := range workers {
		go func() {
			for i := 0; ; i++ {
				var records []protocol.Record
				for j := range 1 + i%3 {
					id := fmt.Sprintf("%d-%d-%d-%d", os.Getpid(), worker, i, j)
					key := fmt.Sprint(os.Getpid(), worker, (i+j)%3)
					records = append(records, protocol.Record{Data: []byte(id), PartitionKey: key})
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
				print(lines.String())
			}
		}()
	}
	return <-failed
}

// A process is killed at some moments of its work, the first ones while it
// creates the directory: what it acknowledged is there, where it said, once, in
// order, and its shards are those of its last reshard or the one after.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	c := &victims{dir: t.TempDir()}
	for _, lines := range []int{0, 1, 40, 300, 7, 120, 60} {
		c.appendAndKill(t, lines)
		if lines == 0 {
			continue // there may be no directory yet
		}
		s, err := Open(c.dir, Options{Pipeline: "sales", Shards: 2})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(shardsOf(t, s.Log())); n < c.shards {
			t.Errorf("%d shards, while %d were acknowledged", n, c.shards)
		}
		checkReshards(t, s.Log(), c.acked)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if c.events < 300 || c.shards < 10 {
		t.Errorf("only %d events and %d shards were acknowledged", c.events, c.shards)
	}
	t.Logf("%d events and %d shards were acknowledged", c.events, c.shards)
}

// victims is what the children of a test had acknowledged.
type victims struct {
	dir    string
	events int
	shards int
	acked  [][]acknowledged // by child and its worker
}

// appendAndKill starts a child and kills it after it printed so many lines.
func (c *victims) appendAndKill(t *testing.T, lines int) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), appendTo+"="+c.dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	first := len(c.acked)
	c.acked = append(c.acked, make([][]acknowledged, workers)...)
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
		c.take(t, first, scanner.Text())
	}
	if err := child.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child ended by itself: %v", err)
	}
}

// take reads a line of a child. One that the kill has cut says nothing.
func (c *victims) take(t *testing.T, first int, line string) {
	t.Helper()
	fields := strings.Fields(line)
	switch {
	case len(fields) != 3:
	case fields[0] == "shards" && fields[2] == ".":
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		c.shards = max(c.shards, n)
	case len(fields[2]) == baseDigits+numberDigits:
		var pid, worker, i, j int
		if _, err := fmt.Sscanf(fields[0], "%d-%d-%d-%d", &pid, &worker, &i, &j); err != nil {
			t.Fatal(err)
		}
		c.events++
		a := acknowledged{protocol.Placed{Shard: fields[1], Seq: fields[2]}, fmt.Sprint(pid, worker, (i+j)%3), fields[0]}
		c.acked[first+worker] = append(c.acked[first+worker], a)
	}
}
