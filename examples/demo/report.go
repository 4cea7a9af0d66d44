package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ask waits until everything acknowledged is visible, and shows the merged
// answer beside one computed by hand from the events that the log holds.
func (d *demo) ask(ctx context.Context, p *pipeline) error {
	a, err := p.visible(ctx)
	if err != nil {
		return err
	}
	add, result := p.question.byHand()
	logged := 0
	if err := p.sender.readBack(ctx, func(event []byte) { logged++; add(event) }); err != nil {
		return fmt.Errorf("reading the log back: %w", err)
	}
	merged, byHand := a.cells(p.question.group, p.question.measures...), result()

	d.heading(p.question.text)
	d.say("  Left: version %s merged with real time. Right: a plain loop over all %s events of the log.", a.Version, thousands(logged))
	d.beside(p.question, merged, byHand)
	if !merged.equal(byHand) {
		return errors.New("the two differ")
	}
	d.doubled(p, logged)
	return nil
}

// visible asks the pipeline's question again until the answer's committed
// positions have reached every acknowledgement.
func (p *pipeline) visible(ctx context.Context) (answer, error) {
	for {
		a, err := p.client.query(ctx, p.question.view, p.question.options)
		if err != nil {
			return answer{}, err
		}
		if p.sender.reached(a.Committed) {
			return a, nil
		}
		select {
		case <-ctx.Done():
			return answer{}, fmt.Errorf("waiting for the last events to be visible: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// beside shows two answers side by side.
func (d *demo) beside(q question, merged, byHand handmade) {
	width := 14 * len(q.measures)
	line := func(group string, left, right []string) string {
		return fmt.Sprintf("  %-10s %s   |%s", group, columns(left), columns(right))
	}
	d.say("  %-10s %*s   |%*s", "", width, "merged answer", width, "recomputed")
	d.say("%s", d.paint(faint, line(q.group, q.measures, q.measures)))
	groups := maps.Clone(merged)
	maps.Copy(groups, byHand)
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		mark := d.paint(green, "equal")
		if !slices.Equal(merged[group], byHand[group]) {
			mark = d.paint(red, "DIFFERENT")
		}
		d.say("%s   %s", line(group, pad(merged[group], len(q.measures)), pad(byHand[group], len(q.measures))), mark)
	}
}

// pad gives the cells of a group, or as many empty ones if it has none.
func pad(cells []string, n int) []string {
	if cells == nil {
		return make([]string, n)
	}
	return cells
}

func columns(cells []string) string {
	var b strings.Builder
	for _, c := range cells {
		if c == "" {
			c = "-"
		}
		fmt.Fprintf(&b, "%14s", c)
	}
	return b.String()
}

// doubled says what the kill did to the log.
func (d *demo) doubled(p *pipeline, logged int) {
	if !p.kill {
		return
	}
	d.say("")
	unsure, more := int(p.sender.unsure.Load()), logged-len(p.events)
	if unsure == 0 {
		d.say("  The SIGKILL hit no call under way: every event was acknowledged at its first try.")
		return
	}
	d.say("  The SIGKILL took away the acknowledgement of %s events, so the sender sent them again.", thousands(unsure))
	if more == 0 {
		d.say("  None of them had reached the log before: it holds each of the %s events once.", thousands(len(p.events)))
		return
	}
	d.say("  %s of them had reached the log before and are in it twice. These events carry no id,", thousands(more))
	d.say("  so a second copy is an event of its own, and both sides count it.")
}

// verification is what /v1/verify returns.
type verification struct {
	Equal  bool  `json:"equal"`
	Cells  int   `json:"cells"`
	Events int64 `json:"events"`
	Views  []struct {
		View      string `json:"view"`
		Cells     int    `json:"cells"`
		Different int    `json:"different"`
	} `json:"views"`
}

// verify compares every cell of every view with a recompute from raw bytes.
func (d *demo) verify(ctx context.Context) error {
	d.heading("Every cell of every view, merged and recomputed from raw bytes (watershed verify)")
	cells, equal := 0, true
	for _, p := range d.pipelines {
		var v verification
		if err := p.client.do(ctx, "GET", "/v1/verify", &v); err != nil {
			return fmt.Errorf("verifying %s: %w", p.name, err)
		}
		d.say("  %-8s %s events", p.name, thousands(int(v.Events)))
		for _, view := range v.Views {
			mark := d.paint(green, "equal")
			if view.Different > 0 {
				mark = d.paint(red, thousands(view.Different)+" DIFFERENT")
			}
			d.say("    %-20s %8s cells   %s", view.View, thousands(view.Cells), mark)
		}
		cells += v.Cells
		equal = equal && v.Equal
	}
	d.say("")
	if !equal || cells == 0 {
		return fmt.Errorf("verify compared %d cells and found differences", cells)
	}
	d.say("  %s", d.paint(green, fmt.Sprintf("Equal: %s cells compared, %.0f s after the start.", thousands(cells), time.Since(d.began).Seconds())))
	return nil
}
