package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// machine is where the figures are from. What the system does not tell is "".
type machine struct {
	Cores  int    `json:"cores"` // that the program may use
	CPU    string `json:"cpu"`
	Load   string `json:"load"` // averages over 1, 5 and 15 minutes, before the first measurement
	System string `json:"system"`
	Go     string `json:"go"`
}

func describeMachine() machine {
	m := machine{Cores: runtime.GOMAXPROCS(0), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) >= 3 {
			m.Load = strings.Join(fields[:3], " ")
		}
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	return m
}

func (m machine) String() string {
	return fmt.Sprintf("%d cores, %s, %s, %s, load average %s",
		m.Cores, cmp.Or(m.CPU, "unknown CPU"), m.System, m.Go, cmp.Or(m.Load, "unknown"))
}

// syncs is how often the disk is asked to make a page durable.
const syncs = 200

// measureSync measures what every acknowledgement pays at least once: a write
// of 4 KiB to the disk of the data directories, and its fsync.
func (b *bench) measureSync() error {
	f, err := os.Create(filepath.Join(b.dir, "sync"))
	if err != nil {
		return fmt.Errorf("measuring the disk: %w", err)
	}
	defer f.Close()
	page := make([]byte, 4<<10)
	var times []time.Duration
	for range syncs {
		start := time.Now()
		if _, err := f.Write(page); err != nil {
			return fmt.Errorf("measuring the disk: %w", err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("measuring the disk: %w", err)
		}
		times = append(times, time.Since(start))
	}
	b.report.addTimes("disk", "write and fsync of 4 KiB", times...)
	return nil
}
