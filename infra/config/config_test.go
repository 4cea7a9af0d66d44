package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The files that come with the product are the first that a user edits.
func TestTheFilesThatComeWithIt(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("found %d files (%v)", len(files), err)
	}
	for _, file := range files {
		if _, err := Load(file); err != nil {
			t.Error(err)
		}
	}
}

func TestEverythingCanBeSet(t *testing.T) {
	t.Parallel()
	got, err := Parse("c.yaml", []byte(`
stream: {mode: provisioned, shards: 3, retention: 48h}
delivery: {buffer_mib: 128, interval: 900s, late: 20m}
functions: {architecture: x86_64}
speed: {batch: 10, window: 2s, memory_mib: 512}
query: {memory_mib: 2048}
api: {rate: 5, burst: 6}
master: {object_lock: {mode: compliance, days: 7}}
crawler: {schedule: "cron(0/15 * ? * MON-FRI *)"}
batch: {engine: emr, timeout: 30m, emr: {release: emr-7.12.1, instance: r7g.2xlarge, cores: 7, idle: 1m}}
athena: {scan_limit_gib: 1}
alarms: {topic: "arn:aws:sns:us-east-1:123456789012:pages", rejects: 10}
removal: destroy
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Stream:    Stream{Mode: Provisioned, Shards: 3, Retention: 48 * time.Hour},
		Delivery:  Delivery{128, 900 * time.Second, 20 * time.Minute},
		Functions: Functions{X86},
		Speed:     Speed{10, 2 * time.Second, 512},
		Query:     Query{2048},
		API:       API{5, 6},
		Master:    Master{"compliance", 7},
		Crawler:   Crawler{false, "cron(0/15 * ? * MON-FRI *)"},
		Athena:    Athena{1},
		Batch:     Batch{EMREngine, 30 * time.Minute, Glue{2, "G.1X"}, EMR{"emr-7.12.1", "r7g.2xlarge", 7, time.Minute}},
		Alarms:    Alarms{"arn:aws:sns:us-east-1:123456789012:pages", 10},
	}
	if got != want {
		t.Errorf("read\n%+v, want\n%+v", got, want)
	}
}

// An empty file deploys, and keeps the data of whoever deletes the stack.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n"} {
		c, err := Parse("c.yaml", []byte(text))
		if err != nil || !c.Retain || c.Stream.Mode != OnDemand || c.Stream.Retention < 24*time.Hour || c.Delivery.Late <= c.Delivery.Interval {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

func TestErrorsNameKeyPlaceAndWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"stream: {mode: on_demand}":                  `c.yaml:1:16: stream.mode cannot be "on_demand"; write on-demand or provisioned or imported`,
		"strem: {mode: on-demand}":                   "c.yaml:1:1: there is no key strem; there are alarms, ",
		"stream:\n  shard: 3":                        "c.yaml:2:3: there is no key stream.shard; there are arn, key, mode, retention, shards",
		"stream: {mode: provisioned, shards: 0}":     `stream.shards cannot be "0"; write a whole number from 1 to 10000`,
		"stream: {mode: provisioned}":                "stream.mode: provisioned needs stream.shards, a whole number from 1",
		"stream: {mode: imported}":                   "stream.mode: imported needs stream.arn",
		"stream: {mode: imported, arn: orders}":      "write the ARN of a Kinesis data stream",
		"stream: {shards: 2}":                        "stream.shards is for stream.mode: provisioned, and it is on-demand; take it out",
		"stream: {retention: 12h}":                   "write whole hours from 24h to 8760h",
		"stream: on-demand":                          "stream holds keys: arn, key, mode, retention, shards",
		"stream: {mode: [on-demand]}":                "stream.mode cannot be a list or a mapping",
		"delivery: {interval: 30s}":                  "write whole seconds from 60s to 900s",
		"delivery: {late: 1h30}":                     "delivery.late cannot be \"1h30\"; write whole seconds from 1s to 86400s",
		"functions: {architecture: amd64}":           "write arm64 or x86_64",
		"api: {rate: unlimited}":                     "write a whole number from 1 to 10000",
		"crawler: {schedule: daily}":                 "write off or by-hand or a cron expression of AWS in UTC, such as cron(0 6 * * ? *)",
		"crawler: {schedule: 'cron(0 6 * * * *)'}":   "one of the days is ?",
		"batch: {engine: spark}":                     `batch.engine cannot be "spark"; write glue or emr or external`,
		"batch: {every: 1h}":                         "c.yaml:1:9: there is no key batch.every; there are emr, engine, glue, timeout",
		"batch: {timeout: 90s}":                      "write whole minutes from 5m to 1440m",
		"batch: {glue: {worker: G.3X}}":              "write G.1X or G.2X or G.4X or G.8X",
		"batch: {emr: {cores: 3}}":                   "c.yaml:1:14: batch.emr is for batch.engine: emr, and it is glue; take it out",
		"batch: {engine: emr, glue: {workers: 3}}":   "batch.glue is for batch.engine: glue, and it is emr; take it out",
		"batch: {engine: emr, emr: {release: 7.13}}": "write a release of EMR 7, such as emr-7.13.0",
		"alarms: {rejects: -1}":                      "write a whole number from 0 to",
		"delivery: {buffer_mib: 32}":                 "write a whole number from 64 to 128",
		"speed: {window: 1500ms}":                    "write whole seconds from 1s to 300s",
		"master: {object_lock: {mode: governance}}":  "master.object_lock.mode: governance needs master.object_lock.days",
		"master: {object_lock: {days: 3}}":           "master.object_lock.days needs master.object_lock.mode, governance or compliance",
		"removal: keep":                              "write retain or destroy",
		"removal: retain\nremoval: destroy":          "c.yaml:2:1: removal stands here a second time",
		"- removal":                                  "the configuration holds keys",
		"removal: retain\n---\nremoval: destroy":     "more than one document",
		"removal: [":                                 "it is not YAML",
		"stream: {mode: imported, arn: 'arn:aws:kinesis:us-east-1:123456789012:stream/s', retention: 48h}": "stream.retention is the imported stream's own",
	} {
		_, err := Parse("c.yaml", []byte(text))
		var wrong Errors
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

// Whoever has made two mistakes hears of both.
func TestAllErrorsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Parse("c.yaml", []byte("removal: keep\nspeed: {batch: many}\n"))
	var wrong Errors
	if !errors.As(err, &wrong) || len(wrong) != 2 {
		t.Errorf("%v", err)
	}
}
