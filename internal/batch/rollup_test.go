package batch_test

import (
	"testing"
	"time"

	"github.com/watershed-data/watershed/internal/definition"
)

// TestTimeAloneRollsUp: without this, a pipeline that receives nothing any more
// keeps its last hours as hours for ever, and an answer's watershed does not say
// at which grain buckets are kept.
func TestTimeAloneRollsUp(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	p.now = time.Date(2014, 11, 2, 12, 0, 0, 0, time.UTC)
	p.Definition = &definition.Definition{Zone: time.UTC, Views: []definition.View{
		{Name: "plain", Every: definition.Hour},
		{Name: "aged", Every: definition.Hour, Keep: []definition.Keep{{For: 24 * time.Hour, Every: definition.Hour}, {Every: definition.Day}}},
	}}
	p.send(0, 3)
	first, err := p.RunIfChanged(t.Context())
	must(t, err)
	p.now = p.now.Add(12*time.Hour - time.Millisecond)
	if report, err := p.RunIfChanged(t.Context()); err != nil || !report.Unchanged || !report.Watershed.Equal(first.Watershed) {
		t.Errorf("within the day a run gave %+v, %v", report, err)
	}
	p.now = p.now.Add(time.Millisecond) // a day ago, another day had ended
	report, err := p.RunIfChanged(t.Context())
	must(t, err)
	if report.Unchanged || !report.Watershed.Equal(p.now) {
		t.Errorf("on the next day a run gave %+v", report)
	}
	if report, err := p.RunIfChanged(t.Context()); err != nil || !report.Unchanged {
		t.Errorf("a run after it gave %+v, %v", report, err)
	}
	p.Definition.Views = p.Definition.Views[:1]
	p.now = p.now.Add(48 * time.Hour)
	if report, err := p.RunIfChanged(t.Context()); err != nil || !report.Unchanged {
		t.Errorf("without a rollup by age a run gave %+v, %v", report, err)
	}
}

// TestTheWatershedNeverGoesBack: without this, a clock that is set back lets
// days come apart into hours again.
func TestTheWatershedNeverGoesBack(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 1)
	p.now = time.Date(2014, 11, 2, 12, 0, 0, 0, time.UTC)
	p.send(0, 1)
	first, err := p.Run(t.Context())
	must(t, err)
	for _, step := range []time.Duration{-time.Hour, -48 * time.Hour, 49*time.Hour - time.Millisecond} {
		p.now = p.now.Add(step)
		p.send(0, 1)
		report, err := p.Run(t.Context())
		must(t, err)
		if !report.Watershed.Equal(first.Watershed) {
			t.Errorf("at %s the watershed is %s after %s", p.now, report.Watershed, first.Watershed)
		}
	}
	p.now = first.Watershed.Add(time.Second)
	report, err := p.Run(t.Context())
	must(t, err)
	if !report.Watershed.Equal(p.now) {
		t.Errorf("the watershed is %s, want the clock's %s", report.Watershed, p.now)
	}
}
