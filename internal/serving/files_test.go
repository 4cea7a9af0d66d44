package serving_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/serving"
)

// countingViews counts the files that are opened and closed.
type countingViews struct {
	protocol.Views
	opened, closed atomic.Int64
}

func (v *countingViews) Open(ctx context.Context, version, name string) (protocol.ReadAtCloser, int64, error) {
	f, size, err := v.Views.Open(ctx, version, name)
	if err != nil {
		return nil, 0, err
	}
	v.opened.Add(1)
	return &countingFile{ReadAtCloser: f, views: v}, size, nil
}

type countingFile struct {
	protocol.ReadAtCloser
	views *countingViews
	once  sync.Once
}

func (f *countingFile) Close() error {
	f.once.Do(func() { f.views.closed.Add(1) })
	return f.ReadAtCloser.Close()
}

// Without this, every query reads footers again, or a service holds the files of
// all versions it has ever seen.
func TestFilesStayOpenForOneVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pairsDefinition(t, "UTC"), 1)
	facts := randomFacts(rand.New(rand.NewPCG(7, 0)), 50)
	w.publish(facts, 3)
	views := &countingViews{Views: w.views}
	reader := w.reader()
	reader.Views = views
	s := serving.New(w.def, reader, fixedClock, serving.Limits{Files: 4})
	q := serving.Query{View: "fine0"}
	first := rowsOf(t, query(t, s, q))
	query(t, s, q)
	if opened, closed := views.opened.Load(), views.closed.Load(); opened != 3 || closed != 0 {
		t.Errorf("two queries opened %d files and closed %d; want 3 and 0", opened, closed)
	}
	query(t, s, serving.Query{View: "fine1"}) // two of its files are beyond the bound
	if opened, closed := views.opened.Load(), views.closed.Load(); opened != 6 || closed != 2 {
		t.Errorf("beyond the bound, %d files were opened and %d closed; want 6 and 2", opened, closed)
	}
	w.manifest.Version, w.manifest.Seq, w.manifest.Views = "v00000002-b", 2, map[string][]protocol.ViewFile{}
	w.publish(facts, 2)
	if rowsOf(t, query(t, s, q)) != first {
		t.Error("the same facts in another version give another answer")
	}
	if opened, closed := views.opened.Load(), views.closed.Load(); opened != 8 || closed != 6 {
		t.Errorf("after a new version, %d files were opened and %d closed; want 8 and 6", opened, closed)
	}
	must(t, s.Close())
	if opened, closed := views.opened.Load(), views.closed.Load(); opened != closed {
		t.Errorf("%d files were opened and %d closed", opened, closed)
	}
}

// Without this, a publish in the middle of queries shows a mixture, or closes a
// file under a reader.
func TestPublishingUnderReaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pairsDefinition(t, "UTC"), 1)
	facts := randomFacts(rand.New(rand.NewPCG(8, 0)), 20)
	w.publish(facts, 2)
	s := w.service(serving.Limits{Files: 3})
	want := rowsOf(t, query(t, s, serving.Query{View: "fine0"}))
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for range 15 {
				a, err := s.Query(context.Background(), serving.Query{View: "fine0"})
				if err != nil {
					t.Error(err)
					return
				}
				if got := rowsOf(t, a); got != want {
					t.Errorf("got %s, want %s", got, want)
					return
				}
			}
		})
	}
	for seq := int64(2); seq < 12; seq++ {
		w.manifest.Seq, w.manifest.Version, w.manifest.Views = seq, protocol.VersionName(protocol.Pointer{Seq: seq - 1}, "a"), map[string][]protocol.ViewFile{}
		w.publish(facts, 1+int(seq%3))
	}
	readers.Wait()
}
