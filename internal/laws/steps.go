//go:build !mutants

package laws

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/job"
	"github.com/watershed-data/watershed/internal/protocol"
)

// stepping is the plot of the real layers in which a run is an execution of a state
// machine: it goes from step to step, each in a process of its own, and to an engine
// that knows a job's text and nothing else. Steps come twice, and long after.
type stepping struct {
	*layered
	texts   map[string][]byte
	journal []byte
	told    string // the version that was told of last
	works   int    // how often the engine began to work at a job
}

// PlaySteps plays one history with the real layers and runs in steps. Files go under
// dir, which the caller removes.
func PlaySteps(c Config, dir string) (Outcome, error) {
	l, err := newLayered(c, dir)
	if err != nil {
		return Outcome{}, err
	}
	l.plot = &stepping{layered: l, texts: map[string][]byte{}}
	return l.play(c)
}

// PlayStepsAside plays one history with runs in steps in a directory of its own,
// which it removes.
func PlayStepsAside(c Config) (Outcome, error) { return aside(PlaySteps, c) }

// ExplainSteps does what ExplainLayers does for a history with runs in steps.
func ExplainSteps(c Config, script Script) string {
	return explain(PlayStepsAside, c, script, shrinkPlays/10, "-steps ")
}

const (
	filesAt = "s3://master/"
	viewsAt = "s3://views/"
	textsAt = "s3://artifacts/"
)

func (s *stepping) batchRun(ctx context.Context, run string) error {
	all := s.steps()
	var before []batch.Progress
	for p := (batch.Progress{Run: run}); ; {
		var err error
		next := p
		switch p.Next {
		case deployment.ComputeStep:
			next.Next = deployment.CompareStep
			err = s.compute(ctx, p.Job)
		case deployment.WaitStep:
			if err = s.idle(ctx, 1); err == nil {
				s.now += p.Seconds * 1000
				next, err = all.Do(ctx, p)
			}
		default:
			next, err = all.Do(ctx, p)
		}
		switch {
		case err != nil:
			return err
		case next.Next == deployment.Fail:
			return fmt.Errorf("run %s failed: %s", run, next.Error)
		case next.Next == deployment.Done:
			return s.ended(ctx, next)
		}
		before = append(before, p)
		p = next
		if !s.quiet && s.chance(10) { // what was done is done again
			p = before[s.random.IntN(len(before))]
		}
	}
}

// ended counts a version. At rest, the last version is the one that was told of.
func (s *stepping) ended(ctx context.Context, p batch.Progress) error {
	if !p.Report.Superseded && !p.Report.Unchanged {
		s.out.Published++
	}
	pointer, err := s.ledger.Pointer(ctx)
	if err == nil && s.quiet && len(s.actors) == 1 && s.told != pointer.Version {
		return fmt.Errorf("%w: at rest, version %s is told of, and %s is the current one", errBroken, s.told, pointer.Version)
	}
	return err
}

func (s *stepping) steps() *batch.Steps {
	layer := s.layer()
	layer.Journal = s
	layer.Late.Wait = time.Duration(s.random.IntN(3)) * time.Second
	return &batch.Steps{
		Layer: layer, Dialect: words{}, Jobs: s, Places: batch.Places{Files: filesAt, Views: viewsAt},
		Published: func(ctx context.Context, m protocol.Manifest) error {
			return s.step(ctx, "tell of "+m.Version, func() { s.told = m.Version })
		},
	}
}

// Load implements batch.Journal.
func (s *stepping) Load(context.Context) ([]byte, error) { return s.journal, nil }

// Store implements batch.Journal.
func (s *stepping) Store(_ context.Context, text []byte) error {
	s.journal = text
	return nil
}

// Put implements batch.Jobs.
func (s *stepping) Put(ctx context.Context, name string, text []byte) (there []byte, err error) {
	died := s.step(ctx, "put text "+name, func() {
		if _, ok := s.texts[name]; !ok {
			s.texts[name] = text
		}
		there = s.texts[name]
	})
	return there, died
}

// Get implements batch.Jobs.
func (s *stepping) Get(ctx context.Context, name string) (text []byte, ok bool, err error) {
	died := s.step(ctx, "get text "+name, func() { text, ok = s.texts[name] })
	return text, ok, died
}

// URI implements batch.Jobs.
func (s *stepping) URI(name string) string { return textsAt + name }

// words is the dialect of the engine in a history: what it is to compute, in JSON.
type words struct{}

type question struct {
	Cut      map[string]protocol.Cut
	Distinct bool
}

func (words) Columns() []job.Column { return nil }

func (words) Rows(cut map[string]protocol.Cut, distinct bool) ([]string, error) {
	text, err := json.Marshal(question{cut, distinct})
	return []string{string(text)}, err
}

func (words) Figures() string { return "figures" }

func (words) View(_ definition.View, t int64) (string, []string, error) {
	return fmt.Sprint(t), nil, nil
}

// compute is the engine in another process: it reads a job, stores files in folders
// of its own, and the result at last, over one that is there.
func (s *stepping) compute(ctx context.Context, at string) error {
	text, ok, err := s.Get(ctx, strings.TrimPrefix(at, textsAt))
	if err != nil || !ok {
		return first(err, fmt.Errorf("there is no job at %s", at))
	}
	j, err := job.Parse(text)
	if err != nil {
		return err
	}
	todo, err := askedBy(j)
	if err != nil {
		return err
	}
	var c computed
	if died := s.step(ctx, "compute "+j.Version, func() { c, err = s.engine.compute(todo) }); first(died, err) != nil {
		return first(died, err)
	}
	result := job.Result{Format: job.Format, Version: j.Version, Figures: map[string]job.Figure{}, Balanced: c.differ == nil, Engine: "a history"}
	figures := c.result.Figures
	if c.differ != nil {
		figures = c.differ
	} else if result.Views, err = s.write(ctx, c, j); err != nil {
		return err
	}
	for shard, f := range figures {
		result.Figures[shard] = job.Figure{Count: f.Count, Hi: f.Sum.Hi, Lo: f.Sum.Lo}
	}
	if text, err = result.Text(); err != nil {
		return err
	}
	return s.step(ctx, "store the result "+j.Result, func() { s.texts[strings.TrimPrefix(j.Result, textsAt)] = text })
}

// askedBy is what a job says, as an engine of this process is asked.
func askedBy(j job.Job) (batch.Job, error) {
	var q question
	if err := json.Unmarshal([]byte(j.Rows[0]), &q); err != nil {
		return batch.Job{}, err
	}
	todo := batch.Job{Plan: protocol.Plan{Cut: q.Cut}, Distinct: q.Distinct, Version: j.Version}
	if _, err := fmt.Sscan(j.Views[0].Query, &todo.Plan.T); err != nil {
		return batch.Job{}, err
	}
	for _, f := range j.Files {
		todo.Files = append(todo.Files, protocol.File{Name: strings.TrimPrefix(f, filesAt)})
	}
	todo.Check = func(figures map[string]batch.Figure) error {
		for shard, want := range j.Check {
			if f := figures[shard]; f != (batch.Figure{Count: want.Count, Sum: protocol.Sum{Hi: want.Hi, Lo: want.Lo}}) {
				return protocol.ErrMismatch
			}
		}
		return nil
	}
	return todo, nil
}

// write stores the files of a version, each in one step.
func (s *stepping) write(ctx context.Context, c computed, j job.Job) (map[string][]job.File, error) {
	s.works++
	out := map[string][]job.File{}
	for _, v := range j.Views {
		out[v.Name] = []job.File{}
		for _, f := range c.result.Views[v.Name] {
			name := fmt.Sprintf("%s/%d/%s", v.Name, s.works, filepath.Base(f.Name))
			var err error
			died := s.step(ctx, "write "+j.Version+"/"+name, func() {
				to := filepath.Join(s.versions.dir, j.Version, name)
				var content []byte
				if content, err = os.ReadFile(filepath.Join(s.engine.at, c.dir, f.Name)); err == nil {
					err = os.MkdirAll(filepath.Dir(to), 0o755)
				}
				if err == nil {
					err = os.WriteFile(to, content, 0o600)
				}
			})
			if err := first(died, err); err != nil {
				return nil, err
			}
			out[v.Name] = append(out[v.Name], job.File{Name: name, Rows: f.Rows})
		}
	}
	return out, nil
}
