package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// terminal writes the demo's story. On a terminal it draws progress bars and
// colours (none with NO_COLOR set); elsewhere it writes plain lines.
type terminal struct {
	out    io.Writer
	isTTY  bool
	colour bool

	mu  sync.Mutex
	bar *bar // drawn on the last line, or nil
}

func newTerminal(out *os.File) *terminal {
	isTTY := term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb"
	return &terminal{out: out, isTTY: isTTY, colour: isTTY && os.Getenv("NO_COLOR") == ""}
}

// The colours of the demo, as ANSI codes.
const (
	bold  = "1"
	faint = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

func (t *terminal) paint(code, text string) string {
	if !t.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// heading writes a title with an empty line before it.
func (t *terminal) heading(text string) { t.say("\n%s", t.paint(bold, text)) }

// say writes a line; a bar that is being drawn stays below it.
func (t *terminal) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.erase()
	fmt.Fprintf(t.out, format+"\n", args...)
	t.draw()
}

func (t *terminal) erase() {
	if t.isTTY && t.bar != nil {
		fmt.Fprint(t.out, "\r\x1b[K")
	}
}

func (t *terminal) draw() {
	if t.isTTY && t.bar != nil {
		fmt.Fprint(t.out, "\r", t.bar.line(t))
	}
}

// bar shows how many of a known number of events are acknowledged.
type bar struct {
	terminal *terminal
	label    string
	total    int
	done     int
	began    time.Time
	drawn    time.Time
}

// newBar begins a bar; end ends it. One at a time.
func (t *terminal) newBar(label string, total int) *bar {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bar = &bar{terminal: t, label: label, total: total, began: time.Now()}
	t.draw()
	return t.bar
}

// add counts n more events. It is safe for concurrent use.
func (b *bar) add(n int) {
	t := b.terminal
	t.mu.Lock()
	defer t.mu.Unlock()
	quarter := 4 * b.done / b.total
	b.done += n
	switch {
	case t.isTTY && (time.Since(b.drawn) > 50*time.Millisecond || b.done == b.total):
		b.drawn = time.Now()
		t.erase()
		t.draw()
	case !t.isTTY && 4*b.done/b.total > quarter:
		fmt.Fprintln(t.out, b.line(t))
	}
}

// end leaves the bar as it is and goes on below it.
func (b *bar) end() {
	t := b.terminal
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isTTY {
		t.erase()
		fmt.Fprintln(t.out, b.line(t))
	}
	t.bar = nil
}

const barWidth = 30

func (b *bar) line(t *terminal) string {
	count := fmt.Sprintf("%s of %s events acknowledged", thousands(b.done), thousands(b.total))
	if !t.isTTY {
		return fmt.Sprintf("  %-8s %s", b.label, count)
	}
	full := barWidth * b.done / b.total
	rate := float64(b.done) / max(time.Since(b.began).Seconds(), 1e-3)
	return fmt.Sprintf("  %-8s %s%s %s, %s/s", b.label,
		t.paint(cyan, strings.Repeat("█", full)), t.paint(faint, strings.Repeat("░", barWidth-full)),
		count, thousands(int(rate)))
}

// thousands writes a number with commas: 10,000.
func thousands(n int) string {
	digits := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
