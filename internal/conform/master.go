package conform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
)

// master is a master dataset whose files hold a text each.
type master struct {
	protocol.Master
	t *testing.T
}

func text(shard, content string) protocol.NewFile {
	return protocol.NewFile{Shard: shard, Write: func(w io.Writer) error { _, err := io.WriteString(w, content); return err }}
}

func (m master) put(shard, content string) protocol.File {
	m.t.Helper()
	return must[protocol.File](m.t)(m.Put(context.Background(), shard, text(shard, content).Write))
}

func (m master) read(name string) (string, error) {
	r, size, err := m.Open(context.Background(), name)
	if err != nil {
		return "", err
	}
	defer r.Close()
	content, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	return string(content), err
}

// contents gives what the listed files hold, in order.
func (m master) contents() (out []string) {
	m.t.Helper()
	for _, f := range must[[]protocol.File](m.t)(m.Files(context.Background())) {
		content, err := m.read(f.Name)
		if err != nil || f.Size != int64(len(content)) {
			m.t.Fatalf("%+v holds %q, %v", f, content, err)
		}
		out = append(out, f.Shard+" "+content)
	}
	slices.Sort(out)
	return out
}

func (m master) want(what string, contents ...string) {
	m.t.Helper()
	if got := m.contents(); !slices.Equal(got, contents) {
		m.t.Fatalf("%s: the files hold %q, want %q", what, got, contents)
	}
}

// replacing tests Replace and Pin.
func replacing(t *testing.T, open func(t *testing.T) protocol.Master) {
	ctx := context.Background()

	t.Run("files replace others all at once", func(t *testing.T) {
		t.Parallel()
		m := master{open(t), t}
		a, b := m.put("s", "a"), m.put("s", "b")
		m.put("s", "c")
		files := must[[]protocol.File](t)(m.Replace(ctx, []string{a.Name, b.Name}, []protocol.NewFile{text("s", "ab"), text("t", "x")}))
		m.want("after a replacement", "s ab", "s c", "t x")
		if len(files) != 2 || files[0].Shard != "s" || files[1].Size != 1 {
			t.Errorf("the new files are %+v", files)
		}
		if _, err := m.read(a.Name); err == nil {
			t.Error("a file that was replaced, and that nobody reads, is still there")
		}
		must[[]protocol.File](t)(m.Replace(ctx, []string{files[1].Name}, nil))
		m.want("after nothing took a file's place", "s ab", "s c")
	})

	t.Run("a replacement that fails changes nothing", func(t *testing.T) {
		t.Parallel()
		m := master{open(t), t}
		a := m.put("s", "a")
		failing := errors.New("no more ink")
		_, err := m.Replace(ctx, []string{a.Name}, []protocol.NewFile{text("s", "b"), {Shard: "s", Write: func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return failing }}})
		if !errors.Is(err, failing) {
			t.Errorf("it failed with %v", err)
		}
		m.want("after it", "s a")
		must[[]protocol.File](t)(m.Replace(ctx, []string{a.Name}, []protocol.NewFile{text("s", "b")}))
		for _, old := range [][]string{{a.Name}, {m.put("s", "c").Name, a.Name}} {
			if _, err := m.Replace(ctx, old, []protocol.NewFile{text("s", "x")}); !errors.Is(err, protocol.ErrReplaced) {
				t.Errorf("replacing what was replaced gave %v", err)
			}
		}
		m.want("in the end", "s b", "s c")
	})

	t.Run("what was listed can be read until it is let go", func(t *testing.T) {
		t.Parallel()
		m := master{open(t), t}
		a := m.put("s", "a")
		first := must[func()](t)(m.Pin(ctx))
		b := must[[]protocol.File](t)(m.Replace(ctx, []string{a.Name}, []protocol.NewFile{text("s", "b")}))[0]
		second := must[func()](t)(m.Pin(ctx))
		must[[]protocol.File](t)(m.Replace(ctx, []string{b.Name}, []protocol.NewFile{text("s", "c")}))
		there := func() (out string) {
			for _, name := range []string{a.Name, b.Name} {
				content, err := m.read(name)
				if err == nil {
					out += content
				}
			}
			return out
		}
		if got := there(); got != "ab" {
			t.Errorf("of two pinned files %q can be read", got)
		}
		first()
		first() // letting go twice is once
		if got := there(); got != "b" {
			t.Errorf("when the older reader is through, %q can be read, want b", got)
		}
		second()
		if got := there(); got != "" {
			t.Errorf("when nobody reads, %q can be read", got)
		}
		m.want("in the end", "s c")
	})

	t.Run("who lists while files are replaced sees the old or the new", func(t *testing.T) {
		t.Parallel()
		m := master{open(t), t}
		var current []string
		for i := range 3 {
			current = append(current, m.put("s", fmt.Sprint("0-", i)).Name)
		}
		done := make(chan struct{})
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					release, err := m.Pin(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					seen := map[byte]int{}
					files, err := m.Files(ctx)
					for _, f := range files {
						var content string
						if err == nil {
							content, err = m.read(f.Name)
						}
						if err == nil {
							seen[content[0]]++
						}
					}
					release()
					if err != nil || len(files) != 3 || len(seen) != 1 {
						t.Errorf("a reader saw %d files of %v, %v", len(files), seen, err)
						return
					}
				}
			})
		}
		for round := range 9 {
			var next []protocol.NewFile
			for i := range 3 {
				next = append(next, text("s", fmt.Sprintf("%d-%d", round+1, i)))
			}
			files := must[[]protocol.File](t)(m.Replace(ctx, current, next))
			current = nil
			for _, f := range files {
				current = append(current, f.Name)
			}
		}
		close(done)
		readers.Wait()
		m.want("in the end", "s 9-0", "s 9-1", "s 9-2")
	})
}
