package batch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/batch"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
	"github.com/watershed-data/watershed/internal/doubleentry"
	"github.com/watershed-data/watershed/internal/job"
	"github.com/watershed-data/watershed/internal/memory"
	"github.com/watershed-data/watershed/internal/protocol"
)

// jobs keeps the texts of runs in memory. What is put there first stays, but for
// what the engine stores.
type jobs struct {
	mu    sync.Mutex
	texts map[string][]byte
}

func (j *jobs) Put(_ context.Context, name string, text []byte) ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if there, ok := j.texts[name]; ok {
		return there, nil
	}
	j.texts[name] = text
	return text, nil
}

func (j *jobs) Get(_ context.Context, name string) ([]byte, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	text, ok := j.texts[name]
	return text, ok, nil
}

const artifacts = "s3://artifacts/jobs/g/"

func (j *jobs) URI(name string) string { return artifacts + name }

func (j *jobs) at(uri string) string { return strings.TrimPrefix(uri, artifacts) }

// asked is what the tests' dialect says in the place of SQL: what the engine of the
// plant is asked.
type asked struct {
	Cut      map[string]protocol.Cut
	Distinct bool
}

type dialect struct{}

func (dialect) Columns() []job.Column { return nil }

func (dialect) Rows(cut map[string]protocol.Cut, distinct bool) ([]string, error) {
	text, err := json.Marshal(asked{cut, distinct})
	return []string{string(text)}, err
}

func (dialect) Figures() string { return "figures" }

func (dialect) View(v definition.View, _ int64) (string, []string, error) { return v.Name, nil, nil }

// machine is the state machine, with an engine that reads jobs and stores results.
type machine struct {
	*batch.Steps
	plant *plant
	jobs  *jobs
	told  []string // versions
	count map[string]float64
	taken []string // steps
	spark int      // jobs that were computed
}

func newMachine(p *plant) *machine {
	m := &machine{plant: p, jobs: &jobs{texts: map[string][]byte{}}, count: map[string]float64{}}
	m.reset()
	return m
}

// reset is a new process: what is in memory is lost.
func (m *machine) reset() {
	p := m.plant
	p.restart()
	p.Engine, p.Generation, p.Definition = nil, "g", &definition.Definition{Pipeline: "p"}
	m.Steps = &batch.Steps{
		Layer: p.Layer, Dialect: dialect{}, Jobs: m.jobs, Places: batch.Places{Files: "s3://master/g/", Views: "s3://views/g/"},
		Published: func(_ context.Context, v protocol.Manifest) error { m.told = append(m.told, v.Version); return nil },
		Count: func(counts map[string]float64) {
			for name, n := range counts {
				m.count[name] += n
			}
		},
	}
}

// compute is the engine: it computes the job at a place as Spark would.
func (m *machine) compute(at string) error {
	text, ok, _ := m.jobs.Get(context.Background(), m.jobs.at(at))
	if !ok {
		return fmt.Errorf("there is no job at %s", at)
	}
	j, err := job.Parse(text)
	if err != nil {
		return err
	}
	var a asked
	if err := json.Unmarshal([]byte(j.Rows[0]), &a); err != nil {
		return err
	}
	m.spark++
	todo := batch.Job{Plan: protocol.Plan{Cut: a.Cut}, Distinct: a.Distinct, Version: j.Version}
	for _, f := range j.Files {
		todo.Files = append(todo.Files, protocol.File{Name: strings.TrimPrefix(f, "s3://master/g/")})
	}
	made, err := m.plant.engine.Compute(context.Background(), todo)
	if err != nil {
		return err
	}
	out := job.Result{Format: job.Format, Version: j.Version, Figures: map[string]job.Figure{}, Balanced: true, Views: map[string][]job.File{}, Engine: "a test", Seconds: map[string]float64{"read": 1}}
	for shard, f := range made.Figures {
		out.Figures[shard] = job.Figure{Count: f.Count, Hi: f.Sum.Hi, Lo: f.Sum.Lo}
	}
	for shard, want := range j.Check {
		out.Balanced = out.Balanced && out.Figures[shard] == want
	}
	if out.Balanced {
		for _, v := range j.Views {
			name := fmt.Sprintf("%s/%d/part", v.Name, m.spark)
			m.plant.views.Write(j.Version, name, nil)
			out.Views[v.Name] = []job.File{{Name: name, Rows: made.Views["rows"][0].Rows}}
		}
	}
	if text, err = out.Text(); err != nil {
		return err
	}
	m.jobs.mu.Lock()
	defer m.jobs.mu.Unlock()
	m.jobs.texts[m.jobs.at(j.Result)] = text // whoever is last
	return nil
}

// step does the step that is next, or computes.
func (m *machine) step(ctx context.Context, p batch.Progress) (batch.Progress, error) {
	switch p.Next {
	case deployment.ComputeStep:
		m.taken = append(m.taken, p.Next)
		p.Next = deployment.CompareStep
		return p, m.compute(p.Job)
	case deployment.WaitStep:
		m.plant.now = m.plant.now.Add(time.Duration(p.Seconds) * time.Second)
	}
	if p.Next == "" {
		m.taken = append(m.taken, deployment.SealStep)
	} else {
		m.taken = append(m.taken, p.Next)
	}
	text, err := json.Marshal(p) // as it goes through Step Functions
	must(m.plant.t, err)
	var in batch.Progress
	must(m.plant.t, json.Unmarshal(text, &in))
	return m.Do(ctx, in)
}

func ended(p batch.Progress) bool { return p.Next == deployment.Done || p.Next == deployment.Fail }

// run goes through a run to its end.
func (m *machine) run(name string) batch.Progress {
	m.plant.t.Helper()
	p := batch.Progress{Run: name}
	m.taken = nil
	for !ended(p) {
		var err error
		if p, err = m.step(m.plant.t.Context(), p); err != nil {
			m.plant.t.Fatalf("%v\n%s", err, m.plant.logs)
		}
		m.plant.wantTruth()
	}
	return p
}

// TestEachFaultInSteps: the steps come to the same end as a run in one process,
// with as few jobs as can be.
func TestEachFaultInSteps(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		faults   []fault
		repaired int64
		doubled  bool
		steps    string // between sealing and publishing
	}{
		"none":                    {nil, 0, false, "wait compute compare"},
		"every file is lost":      {[]fault{lose}, 30, false, "wait compute compare wait repair compute compare"},
		"every file is doubled":   {[]fault{double}, 0, true, "wait compute compare compute compare"},
		"rows are shuffled":       {[]fault{shuffle(random)}, 0, false, "wait compute compare"},
		"a row of each is lost":   {[]fault{loseRow(random)}, 6, false, "wait compute compare wait repair compute compare"},
		"equal counts":            {[]fault{swap}, 6, true, "wait compute compare compute compare wait repair compute compare"},
		"files as late as usual":  {[]fault{delay(4 * minute)}, 0, false, "wait compute compare"},
		"files later than usual":  {[]fault{delay(9 * minute)}, 0, false, "wait compute compare wait compute compare"},
		"files that are too late": {[]fault{delay(19 * minute)}, 30, false, "wait compute compare wait repair compute compare"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, 2)
			m := newMachine(p)
			p.Late.Wait = 5 * minute
			p.send(0, 20)
			p.send(1, 10)
			p.master.faults = c.faults
			flush(p)
			p.master.faults = nil
			end := m.run("one")
			steps := strings.Join(m.taken, " ")
			if want := "seal " + c.steps + " publish discard"; end.Next != deployment.Done || steps != want {
				t.Errorf("the run ended with %s (%s) after %s, want %s", end.Next, end.Error, steps, want)
			}
			b := end.Report.Balance
			if b == nil || !b.Equal || b.Ledger() != 30 || b.Repaired() != c.repaired || b.Doubled != c.doubled {
				t.Errorf("the balance is %+v; want %d repaired, doubled %t", b, c.repaired, c.doubled)
			}
			if end.Report.Mode != doubleentry.Full || end.Report.Why == "" || end.Report.Events != 30 || len(m.told) == 0 || m.told[0] != end.Report.Version {
				t.Errorf("the report is %+v; of %v was told", end.Report, m.told)
			}
			want := map[string]float64{deployment.PublishedMetric: 1, deployment.RepairedMetric: float64(c.repaired), deployment.MismatchMetric: 0, deployment.BatchFailsMetric: 0}
			if !maps.Equal(m.count, want) {
				t.Errorf("counted %v, want %v", m.count, want)
			}
			// Nothing came since: nothing is computed again.
			spark := m.spark
			if end = m.run("two"); end.Next != deployment.Done || !end.Report.Unchanged || m.spark != spark {
				t.Errorf("a run without anything new ended with %+v after %d jobs", end, m.spark-spark)
			}
			p.now = p.now.Add(time.Hour) // what is late comes
			p.send(0, 1)
			flush(p)
			if end = m.run("three"); end.Next != deployment.Done || end.Report.Balance.Repaired() != 0 {
				t.Errorf("the run after that ended with %+v", end)
			}
		})
	}
}

// TestAFailureInSteps says in numbers what is missing, raises the alarm, and ends it
// when a run balances.
func TestAFailureInSteps(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 2)
	m := newMachine(p)
	p.send(0, 20)
	p.send(1, 10)
	p.master.faults = []fault{lose}
	flush(p)
	p.master.faults = nil
	p.log.trim(t, memory.ShardID(0), 5)
	end := m.run("one")
	if end.Next != deployment.Fail || !strings.Contains(end.Error, "20 events in the ledger, 5 rows in the master dataset") || !strings.Contains(end.Error, "the log no longer holds them") {
		t.Errorf("the run ended with %s: %s", end.Next, end.Error)
	}
	if m.count[deployment.MismatchMetric] != 1 || m.count[deployment.BatchFailsMetric] != 1 || m.count[deployment.PublishedMetric] != 0 {
		t.Errorf("counted %v", m.count)
	}
	standing, err := p.Standing(t.Context())
	if err != nil || standing.Failing == nil || !standing.Failing.Mismatch || standing.Last.Name != "one" {
		t.Errorf("the standing is %+v, %v", standing, err)
	}
	if again, err := m.Do(t.Context(), batch.Progress{Run: "one", Step: deployment.CompareStep}); err != nil || again.Next != deployment.Fail || again.Error != end.Error {
		t.Errorf("a step of the failed run once more gives %+v, %v", again, err)
	}
	if _, ok, err := p.ledger.Plan(t.Context(), "one"); ok || err != nil {
		t.Errorf("the plan is left behind (%v)", err)
	}
}

// Whatever step or engine fails for good ends the run with what was caught, so that
// there is an alarm. After the version is published, no run has failed to make one:
// status and metrics say so.
func TestWhatIsCaught(t *testing.T) {
	t.Parallel()
	const cause = `{"errorMessage":"there is no room","errorType":"Error"}`
	for _, c := range []struct {
		at        string // the step that fails
		published bool
	}{
		{deployment.SealStep, false},
		{deployment.ComputeStep, false},
		{deployment.RepairStep, false},
		{deployment.PublishStep, false},
		{deployment.DiscardStep, true},
	} {
		t.Run(c.at, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, 1)
			m := newMachine(p)
			p.send(0, 3)
			if c.at == deployment.RepairStep {
				p.master.faults = []fault{lose}
			}
			flush(p)
			progress := batch.Progress{Run: "one"}
			var err error
			for progress.Next != c.at && (progress.Next != "" || c.at != deployment.SealStep) {
				progress, err = m.step(t.Context(), progress)
				must(t, err)
			}
			progress.Step, progress.Caught = deployment.FailedStep, &batch.Caught{Error: "Lambda.Unknown", Cause: cause}
			end, err := m.Do(t.Context(), progress)
			must(t, err)
			want := "Lambda.Unknown: there is no room"
			if c.published {
				want = "the version is published, and what comes after that failed: " + want
			}
			if end.Next != deployment.Fail || end.Error != want {
				t.Errorf("the run ended with %s: %q", end.Next, end.Error)
			}
			standing, err := p.Standing(t.Context())
			if err != nil || (standing.Failing != nil) == c.published {
				t.Errorf("the standing is %+v, %v", standing, err)
			}
			if failed := m.count[deployment.BatchFailsMetric] == 1; failed == c.published || m.count[deployment.MismatchMetric] > 0 {
				t.Errorf("counted %v", m.count)
			}
		})
	}
}

// What a step is not asked rightly is an error, and no run.
func TestWhatIsNoStep(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	m := newMachine(p)
	for _, c := range []struct {
		progress batch.Progress
		want     string
	}{
		{batch.Progress{}, "no name"},
		{batch.Progress{Run: "a/b"}, "slash"},
		{batch.Progress{Run: "one", Step: "sael"}, "seal"},
		{batch.Progress{Run: "one", Step: deployment.CompareStep}, "no plan"},
	} {
		if _, err := m.Do(t.Context(), c.progress); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.progress, err, c.want)
		}
	}
}

// What an engine of another release says is not believed.
func TestResultsAreNotBelieved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(r *job.Result)
		want  string
	}{
		"of another version":        {func(r *job.Result) { r.Version = "v00000001-other" }, "of version v00000001-other"},
		"a view is missing":         {func(r *job.Result) { r.Views = nil }, "has not computed view"},
		"it says they do not agree": {func(r *job.Result) { r.Balanced, r.Views = false, nil }, "of this release"},
		"a file is not there": {func(r *job.Result) {
			for _, files := range r.Views {
				files[0].Name += "-missing"
			}
		}, "stored"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, 1)
			m := newMachine(p)
			p.send(0, 3)
			flush(p)
			progress := batch.Progress{Run: "one"}
			var err error
			for !ended(progress) && err == nil {
				if progress.Next == deployment.CompareStep {
					at := m.jobs.at(progress.Result)
					result, err := job.ParseResult(m.jobs.texts[at])
					must(t, err)
					c.spoil(&result)
					m.jobs.texts[at], err = result.Text()
					must(t, err)
				}
				progress, err = m.step(t.Context(), progress)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the run went on to %s: %v, want %q", progress.Next, err, c.want)
			}
			if pointer, err := p.ledger.Pointer(t.Context()); err != nil || pointer.Seq != 0 {
				t.Errorf("version %s was published (%v)", pointer.Version, err)
			}
		})
	}
}

// An engine that nobody starts is asked for its result until it has one.
func TestAnEngineElsewhere(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	m := newMachine(p)
	p.send(0, 3)
	flush(p)
	offered, err := m.step(t.Context(), batch.Progress{Run: "one"})
	must(t, err)
	offered.Step = deployment.ComputedStep
	for range 2 {
		got, err := m.Do(t.Context(), offered)
		if err != nil || got.Next != deployment.ComputeStep || got.Seconds != 15 {
			t.Fatalf("before there is a result, the step gives %+v, %v", got, err)
		}
	}
	must(t, m.compute(offered.Job))
	if got, err := m.Do(t.Context(), offered); err != nil || got.Next != deployment.CompareStep {
		t.Errorf("when there is a result, the step gives %+v, %v", got, err)
	}
}

// A repair that was killed goes on where it was, and does not forget what it wrote.
func TestARepairInStepsThatWasKilled(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 2)
	m := newMachine(p)
	p.send(0, 20)
	p.send(1, 10)
	p.master.faults = []fault{lose}
	flush(p)
	p.master.faults = nil
	progress := batch.Progress{Run: "one"}
	var err error
	for progress.Next != deployment.RepairStep {
		progress, err = m.step(t.Context(), progress)
		must(t, err)
	}
	p.log.fail = map[string]error{memory.ShardID(1): errors.New("the stream is busy")}
	for range 2 {
		if _, err := m.Do(t.Context(), progress); err == nil || !strings.Contains(err.Error(), "busy") {
			t.Fatalf("a repair that cannot read a shard's log ended with %v", err)
		}
	}
	if n := p.count(); n != 20 {
		t.Errorf("repaired twice, the master dataset holds %d rows of the shard with 20", n)
	}
	p.log.fail = nil
	m.reset()
	for !ended(progress) {
		progress, err = m.step(t.Context(), progress)
		must(t, err)
	}
	p.wantTruth()
	if n := progress.Report.Balance.Repaired(); progress.Next != deployment.Done || n != 30 {
		t.Errorf("the run ended with %s and %d repaired events", progress.Next, n)
	}
}

// The log of a day is more than one process can read: a repair that has no time left
// says so after each stretch, and comes to the same end.
func TestARepairWithoutTime(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 2)
	m := newMachine(p)
	p.send(0, 40)
	p.send(1, 2)
	flush(p)
	m.run("one")
	p.send(0, 95)
	p.master.faults = []fault{lose}
	flush(p)
	p.master.faults = nil
	short, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	progress, repairs := batch.Progress{Run: "two"}, 0
	for !ended(progress) {
		if progress.Next == deployment.RepairStep {
			repairs++
			if p.log.read == nil {
				p.log.read = map[string]protocol.Position{}
			}
		}
		var err error
		progress, err = m.step(short, progress)
		must(t, err)
	}
	p.wantTruth()
	if n := progress.Report.Balance.Repaired(); progress.Next != deployment.Done || n != 95 || repairs < 3 {
		t.Errorf("the run ended with %s, %d repaired events after %d repairs", progress.Next, n, repairs)
	}
	if p.log.oldest(memory.ShardID(0)) < 40 {
		t.Errorf("the repair read the log from event %d on, although it is missing behind event 40", p.log.oldest(memory.ShardID(0)))
	}
}

// What a version holds and the master dataset has lost since is found when nothing is
// missing behind it.
func TestARepairOfWhatTheVersionBeforeHolds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kept int  // events that the log still holds; 0: all
		late bool // one more comes late, so that rows are compared one of each before the repair
	}{
		"the log has it":                          {0, false},
		"the log has some of it":                  {15, false},
		"the log has nothing of it":               {5, false},
		"the log has some of it, a file is late":  {15, true},
		"the log has all of it, a file is late":   {0, true},
		"the log has it not, and a file was late": {6, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, 1)
			m := newMachine(p)
			p.send(0, 30)
			flush(p)
			m.run("one")
			p.master.Master = memory.NewMaster()
			p.send(0, 5)
			flush(p)
			there := 5
			if c.late {
				p.Late.Wait = 5 * minute
				p.send(0, 1)
				p.master.faults = []fault{delay(9 * minute)}
				flush(p)
				p.master.faults = nil
				there = 6
			}
			if c.kept > 0 {
				p.log.trim(t, memory.ShardID(0), c.kept)
			}
			end := m.run("two")
			want, lost := int64(30), int64(0)
			if c.kept > 0 {
				want, lost = int64(c.kept-there), int64(30+there-c.kept)
			}
			b := end.Report.Balance
			if b.Repaired() != want || b.Shards[0].Lost != lost || (end.Next == deployment.Done) != (lost == 0) {
				t.Errorf("the run ended with %s after %v: %d repaired, %d lost, want %d, %d: %s", end.Next, m.taken, b.Repaired(), b.Shards[0].Lost, want, lost, end.Error)
			}
		})
	}
}

// Of two results the first that was compared counts: an engine that works at a job
// again stores another one, and may be at it still.
func TestTheFirstResultCounts(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	m := newMachine(p)
	p.send(0, 3)
	flush(p)
	progress := batch.Progress{Run: "one"}
	var err error
	for progress.Next != deployment.PublishStep {
		progress, err = m.step(t.Context(), progress)
		must(t, err)
	}
	must(t, m.compute(progress.Job))
	for !ended(progress) {
		progress, err = m.step(t.Context(), progress)
		must(t, err)
	}
	manifest, err := p.views.Manifest(t.Context(), progress.Report.Version)
	must(t, err)
	for view, files := range manifest.Views {
		if files[0].Name != view+"/1/part" {
			t.Errorf("the version has %s of view %s, of the second result", files[0].Name, view)
		}
	}
}

// A zombie that publishes once more, when others have published since, neither ends
// its run as superseded nor deletes what readers of the version still read.
func TestAZombiePublishes(t *testing.T) {
	t.Parallel()
	for name, forgets := range map[string]bool{"it had noted that it published": false, "it died before it did": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant(t, 1)
			m := newMachine(p)
			p.send(0, 3)
			flush(p)
			progress := batch.Progress{Run: "one"}
			var err error
			for progress.Next != deployment.PublishStep {
				progress, err = m.step(t.Context(), progress)
				must(t, err)
			}
			published, err := m.step(t.Context(), progress)
			must(t, err)
			if forgets {
				delete(m.jobs.texts, "one/published")
			}
			p.send(0, 3)
			flush(p)
			m.run("two")
			again, err := m.step(t.Context(), progress)
			must(t, err)
			if !forgets && again.Next != published.Next {
				t.Errorf("published once more, the run goes on with %s, want %s", again.Next, published.Next)
			}
			if _, err := p.views.Manifest(t.Context(), published.Report.Version); err != nil {
				t.Errorf("the version that was published, and whose readers are not gone, is deleted: %v", err)
			}
			if last := m.told[len(m.told)-1]; last == published.Report.Version {
				t.Error("the old version was told of last")
			}
		})
	}
}

// Who is told of a version while another one is published is told of that one, too,
// and at last.
func TestTheCurrentVersionIsToldOfLast(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	m := newMachine(p)
	p.send(0, 3)
	flush(p)
	tell, first := m.Published, true
	m.Published = func(ctx context.Context, v protocol.Manifest) error {
		if first {
			first = false
			p.send(0, 3)
			flush(p)
			m.run("two")
		}
		return tell(ctx, v)
	}
	m.run("one")
	pointer, err := p.ledger.Pointer(t.Context())
	must(t, err)
	if last := m.told[len(m.told)-1]; last != pointer.Version {
		t.Errorf("of %s was told last, and the current version is %s", last, pointer.Version)
	}
}

// A run is noted once, also if the step that ends it dies when it has done so. It is
// counted then: else the step's death could take an alarm with it.
func TestARunIsNotedOnce(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	m := newMachine(p)
	p.send(0, 3)
	p.master.faults = []fault{lose}
	flush(p)
	p.master.faults = nil
	progress := batch.Progress{Run: "one"}
	var err error
	for progress.Next != deployment.DiscardStep {
		progress, err = m.step(t.Context(), progress)
		must(t, err)
	}
	plan, _, err := p.ledger.Plan(t.Context(), "one")
	must(t, err)
	for range 2 {
		clear(m.count)
		_, err := m.Do(t.Context(), progress)
		must(t, err)
		delete(m.jobs.texts, "one/end")
		_, err = p.ledger.PutPlan(t.Context(), plan)
		must(t, err)
	}
	standing, err := p.Standing(t.Context())
	if err != nil || standing.Repaired != 3 || m.count[deployment.PublishedMetric] != 1 {
		t.Errorf("the journal has %d repaired events of 3, the run is counted %v times (%v)", standing.Repaired, m.count[deployment.PublishedMetric], err)
	}
}

// What another process noted counts: a run after one that failed there computes all
// rows again, although nothing came.
func TestTheJournalIsReadAgain(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	m := newMachine(p)
	p.send(0, 3)
	flush(p)
	m.run("one")
	must(t, p.journal.Store(t.Context(), []byte(`{"failing":{"since":"2026-11-23T01:00:00Z","runs":1}}`)))
	if end := m.run("two"); end.Report.Unchanged || end.Report.Why != "the run before failed" {
		t.Errorf("the run ended with %+v", end.Report)
	}
}

// A run that another one was faster than leaves nothing behind.
func TestASupersededRun(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	m := newMachine(p)
	p.send(0, 3)
	flush(p)
	progress := batch.Progress{Run: "one"}
	var err error
	for progress.Next != deployment.PublishStep {
		progress, err = m.step(t.Context(), progress)
		must(t, err)
	}
	m.run("two")
	progress, err = m.step(t.Context(), progress)
	must(t, err)
	if progress.Next != deployment.Done || !progress.Report.Superseded {
		t.Errorf("it ended with %+v", progress)
	}
	if versions, err := p.views.Versions(t.Context()); err != nil || len(versions) != 1 {
		t.Errorf("the versions are %v (%v), want one", versions, err)
	}
}

// A report that goes from step to step stays small, and the journal has all.
func TestManyShards(t *testing.T) {
	t.Parallel()
	const shards = 60
	p := newPlant(t, shards)
	m := newMachine(p)
	for i := range shards {
		p.send(i, 2)
	}
	p.master.faults = []fault{lose} // of all that would be archived; only the repair writes
	p.master.faults = nil
	progress := batch.Progress{Run: "one"}
	for !ended(progress) {
		var err error
		progress, err = m.step(t.Context(), progress)
		must(t, err)
		text, err := json.Marshal(progress)
		must(t, err)
		if most := 40 << 10; len(text) > most {
			t.Fatalf("before the step %s the steps hand on %d bytes", progress.Next, len(text))
		}
	}
	p.wantTruth()
	standing, err := p.Standing(t.Context())
	must(t, err)
	if progress.Next != deployment.Done || m.count[deployment.RepairedMetric] != 2*shards || len(standing.Balance.Shards) != shards || standing.Repaired != 2*shards {
		t.Errorf("the run ended with %s, counted %v; the journal has %d shards and %d repaired events", progress.Next, m.count, len(standing.Balance.Shards), standing.Repaired)
	}
}

// Steps that come twice, late, from other executions, and after the end: whatever is
// published is the truth, and once all is well a run publishes all.
func TestTheTruthOrNothingInSteps(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 9))
		p := newPlant(t, 2)
		m := newMachine(p)
		p.Late.Wait = time.Duration(random.IntN(3)) * minute
		p.archiver.FileBytes = 1 + random.Int64N(20)
		all := []fault{lose, double, delay(time.Duration(1+random.IntN(9)) * 30 * time.Second), shuffle(random), loseRow(random), doubleRow(random), swap}
		var under []batch.Progress // way; also zombies
		for i := range 80 {
			switch random.IntN(6) {
			case 0:
				p.master.faults = nil
				for range random.IntN(4) {
					p.master.faults = append(p.master.faults, some(random, 20+random.IntN(80), all[random.IntN(len(all))]))
				}
				p.send(random.IntN(2), 1+random.IntN(25))
				flush(p)
				p.master.faults = nil
			case 1:
				under = append(under, batch.Progress{Run: fmt.Sprint("run", i), Full: random.IntN(3) == 0})
			default:
				if len(under) == 0 {
					continue
				}
				at := &under[random.IntN(len(under))]
				if random.IntN(5) == 0 { // this one is repeated: the one before stays as a zombie
					under = append(under, *at)
					at = &under[len(under)-1]
				}
				next, err := m.step(t.Context(), *at)
				switch {
				case err == nil && !ended(next):
					*at = next
				case err == nil, strings.Contains(err.Error(), "no plan"): // it ended, or its other self did
				default:
					t.Fatalf("seed %d: %v\n%s", seed, err, p.logs)
				}
				if random.IntN(10) == 0 {
					m.reset()
					p.Late.Wait = minute
				}
			}
			p.wantTruth()
		}
		p.now = p.now.Add(time.Hour)
		if end := m.run("last"); end.Next != deployment.Done {
			t.Fatalf("seed %d: a run when all is well again: %+v\n%s", seed, end, p.logs)
		}
		if versions, err := p.views.Versions(t.Context()); err != nil || len(versions) == 0 {
			t.Fatalf("seed %d: %d versions, %v", seed, len(versions), err)
		}
	}
}
