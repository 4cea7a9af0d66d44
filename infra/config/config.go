package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is a checked configuration.
type Config struct {
	Stream    Stream
	Delivery  Delivery
	Functions Functions
	Speed     Speed
	Query     Query
	API       API
	Master    Master
	Crawler   Crawler
	Athena    Athena
	Batch     Batch
	Alarms    Alarms
	Retain    bool // keep buckets, tables and the key when the stack is deleted
}

// Mode says where the stream comes from and how it grows.
type Mode string

// The modes of a stream.
const (
	OnDemand    Mode = "on-demand"
	Provisioned Mode = "provisioned"
	Imported    Mode = "imported" // it exists; its settings are checked when the stack is deployed
)

// Stream is the Kinesis data stream.
type Stream struct {
	Mode      Mode
	Shards    int           // provisioned only
	ARN       string        // imported only
	Key       string        // imported only: ARN of the KMS key that encrypts it, if it is a customer's
	Retention time.Duration // how long events can be read again; not of an imported one
}

// Delivery is how Firehose writes the master dataset.
type Delivery struct {
	BufferMiB int           // of a Parquet object
	Interval  time.Duration // the longest that an event waits for its object
	// Late is how long after its arrival an event may still be on its way into the
	// master dataset. A batch run waits so long before it takes an event for missing.
	Late time.Duration
}

// Functions is what all functions have in common.
type Functions struct {
	Architecture Architecture
}

// Architecture is the processor that the functions' programs are built for.
type Architecture string

// The architectures.
const (
	ARM64 Architecture = "arm64"
	X86   Architecture = "x86_64"
)

// Speed is the speed function.
type Speed struct {
	Batch     int           // events in one invocation, at most
	Window    time.Duration // how long an invocation waits for its batch to fill
	MemoryMiB int
}

// Query is the query function.
type Query struct {
	MemoryMiB int
}

// API is how much the API lets through, of all callers together.
type API struct {
	Rate  int // requests a second, on average
	Burst int // at once
}

// Crawler finds out what landed files look like.
type Crawler struct {
	Off      bool   // there is none
	Schedule string // a cron expression of AWS, in UTC; "": only when it is started by hand
}

// Master is the bucket of the master dataset.
type Master struct {
	LockMode string // "", "governance" or "compliance"
	LockDays int    // 0 without LockMode
}

// Athena is the workgroup.
type Athena struct {
	ScanLimitGiB int // a query that reads more is cancelled
}

// Alarms is who hears of them.
type Alarms struct {
	Topic   string // ARN of an SNS topic; "": alarms only show
	Rejects int    // rejected events in five minutes that are nothing to wake anybody for
}

// defaults is the configuration of an empty file.
func defaults() Config {
	return Config{
		Stream:    Stream{Mode: OnDemand, Retention: 24 * time.Hour},
		Delivery:  Delivery{BufferMiB: 64, Interval: 60 * time.Second},
		Functions: Functions{Architecture: ARM64},
		Speed:     Speed{Batch: 1000, Window: time.Second, MemoryMiB: 1024},
		Query:     Query{MemoryMiB: 1024},
		API:       API{Rate: 50, Burst: 100},
		Athena:    Athena{ScanLimitGiB: 100},
		Batch:     defaultBatch(),
		Retain:    true,
	}
}

// Errors is everything that is wrong with a file.
type Errors []string

func (e Errors) Error() string { return strings.Join(e, "\n") }

// Load reads and checks a file. Of a file that is wrong it gives Errors.
func Load(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, text)
}

// Parse checks a configuration's text. The name is for messages.
func Parse(name string, text []byte) (Config, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	c := &reader{file: name, config: defaults(), seen: map[string]*yaml.Node{}}
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return c.config.derived(), nil // everything as by default
	} else if err != nil {
		return Config{}, Errors{fmt.Sprintf("%s: it is not YAML: %v", name, err)}
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Config{}, Errors{fmt.Sprintf("%s: it has more than one document; write one", name)}
	}
	c.read("", document.Content[0])
	if len(c.errors) == 0 {
		c.together()
	}
	if len(c.errors) > 0 {
		return Config{}, c.errors
	}
	return c.config.derived(), nil
}

// derived fills in what follows from other keys, if it was not chosen.
func (c Config) derived() Config {
	if c.Delivery.Late == 0 {
		// The transform collects for a minute before, and S3 takes its time.
		c.Delivery.Late = c.Delivery.Interval + 2*time.Minute
	}
	return c
}

// reader reads one file.
type reader struct {
	file   string
	config Config
	seen   map[string]*yaml.Node // where each key's value stands
	errors Errors
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf("%s:%d:%d: ", r.file, n.Line, n.Column)+fmt.Sprintf(format, args...))
}

// read reads a mapping at a path, "" at the top.
func (r *reader) read(path string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s holds keys: %s", title(path), strings.Join(under(path), ", "))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		full := strings.TrimPrefix(path+"."+key.Value, ".")
		k, isKey := keys[full]
		switch {
		case r.seen[full] != nil:
			r.fail(key, "%s stands here a second time; keep one", full)
		case isKey:
			r.seen[full] = value
			if value.Kind != yaml.ScalarNode || !k.set(&r.config, value.Value) {
				r.fail(value, "%s cannot be %s; write %s", full, shown(value), k.allowed)
			}
		case len(under(full)) > 0:
			r.seen[full] = value
			r.read(full, value)
		default:
			r.fail(key, "there is no key %s; there are %s", full, strings.Join(under(path), ", "))
		}
	}
}

// together checks what keys mean for each other.
func (r *reader) together() {
	c := r.config
	only := func(key string, mode Mode) {
		if n := r.seen[key]; n != nil && c.Stream.Mode != mode {
			r.fail(n, "%s is for stream.mode: %s, and it is %s; take it out", key, mode, c.Stream.Mode)
		}
	}
	needs := func(key, by string, missing bool) {
		if missing {
			r.fail(r.seen[by], "%s: %s needs %s, %s", by, r.seen[by].Value, key, keys[key].allowed)
		}
	}
	only("stream.shards", Provisioned)
	only("stream.arn", Imported)
	only("stream.key", Imported)
	if n := r.seen["stream.retention"]; n != nil && c.Stream.Mode == Imported {
		r.fail(n, "stream.retention is the imported stream's own; take it out")
	}
	needs("stream.shards", "stream.mode", c.Stream.Mode == Provisioned && c.Stream.Shards == 0)
	needs("stream.arn", "stream.mode", c.Stream.Mode == Imported && c.Stream.ARN == "")
	needs("master.object_lock.days", "master.object_lock.mode", c.Master.LockMode != "" && c.Master.LockDays == 0)
	if n := r.seen["master.object_lock.days"]; n != nil && c.Master.LockMode == "" {
		r.fail(n, "master.object_lock.days needs master.object_lock.mode, %s", keys["master.object_lock.mode"].allowed)
	}
	r.batch()
}

func title(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}

func shown(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return "a list or a mapping"
	}
	return fmt.Sprintf("%q", n.Value)
}

// under lists the names directly below a path, in order.
func under(path string) []string {
	var out []string
	for key := range keys {
		rest, ok := strings.CutPrefix(key, path+".")
		if path == "" {
			rest, ok = key, true
		}
		if name, _, _ := strings.Cut(rest, "."); ok && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
