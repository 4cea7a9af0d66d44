package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// key is one key of the file: what it takes, in words, and how it is set. set
// gives false if the text is not allowed.
type key struct {
	allowed string
	set     func(c *Config, text string) bool
}

var (
	streamARN = regexp.MustCompile(`^arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d{12}:stream/[A-Za-z0-9_.-]{1,128}$`)
	topicARN  = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}$`)
	cronRule  = regexp.MustCompile(`^cron\([0-9*/,-]+ [0-9*/,-]+ ([0-9*/,LW?-]+) [0-9A-Z*/,-]+ ([0-9A-Z*/,#?-]+) [0-9*/,-]+\)$`)
	keyARN    = regexp.MustCompile(`^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+$`)
)

var keys = map[string]key{
	"stream.mode":   choice(func(c *Config, v string) { c.Stream.Mode = Mode(v) }, string(OnDemand), string(Provisioned), string(Imported)),
	"stream.shards": number(1, 10_000, func(c *Config, n int) { c.Stream.Shards = n }),
	"stream.arn":    matching(streamARN, "the ARN of a Kinesis data stream", func(c *Config, v string) { c.Stream.ARN = v }),
	"stream.key":    matching(keyARN, "the ARN of the KMS key that encrypts the stream", func(c *Config, v string) { c.Stream.Key = v }),
	// A day is what repair needs at least.
	"stream.retention": span(24*time.Hour, 8760*time.Hour, time.Hour, func(c *Config, d time.Duration) { c.Stream.Retention = d }),

	"delivery.buffer_mib": number(64, 128, func(c *Config, n int) { c.Delivery.BufferMiB = n }),
	"delivery.interval":   span(60*time.Second, 900*time.Second, time.Second, func(c *Config, d time.Duration) { c.Delivery.Interval = d }),

	"delivery.late": span(time.Second, 24*time.Hour, time.Second, func(c *Config, d time.Duration) { c.Delivery.Late = d }),

	"functions.architecture": choice(func(c *Config, v string) { c.Functions.Architecture = Architecture(v) }, string(ARM64), string(X86)),

	"speed.batch":      number(1, 10_000, func(c *Config, n int) { c.Speed.Batch = n }),
	"speed.window":     span(time.Second, 300*time.Second, time.Second, func(c *Config, d time.Duration) { c.Speed.Window = d }),
	"speed.memory_mib": number(256, 10_240, func(c *Config, n int) { c.Speed.MemoryMiB = n }),

	"query.memory_mib": number(256, 10_240, func(c *Config, n int) { c.Query.MemoryMiB = n }),
	"api.rate":         number(1, 10_000, func(c *Config, n int) { c.API.Rate = n }),
	"api.burst":        number(1, 5_000, func(c *Config, n int) { c.API.Burst = n }),

	"master.object_lock.mode": choice(func(c *Config, v string) { c.Master.LockMode = v }, "governance", "compliance"),
	"master.object_lock.days": number(1, 36_500, func(c *Config, n int) { c.Master.LockDays = n }),

	"crawler.schedule": crawling(),

	"batch.engine":       choice(func(c *Config, v string) { c.Batch.Engine = Engine(v) }, string(GlueEngine), string(EMREngine), string(ExternalEngine)),
	"batch.timeout":      span(5*time.Minute, 24*time.Hour, time.Minute, func(c *Config, d time.Duration) { c.Batch.Timeout = d }),
	"batch.glue.workers": number(2, 299, func(c *Config, n int) { c.Batch.Glue.Workers = n }),
	"batch.glue.worker":  choice(func(c *Config, v string) { c.Batch.Glue.Worker = v }, "G.1X", "G.2X", "G.4X", "G.8X"),
	"batch.emr.release":  matching(emrRelease, "a release of EMR 7, such as emr-7.13.0", func(c *Config, v string) { c.Batch.EMR.Release = v }),
	"batch.emr.instance": matching(instanceType, "an instance type, such as m7g.xlarge", func(c *Config, v string) { c.Batch.EMR.Instance = v }),
	"batch.emr.cores":    number(1, 100, func(c *Config, n int) { c.Batch.EMR.Cores = n }),
	"batch.emr.idle":     span(time.Minute, 24*time.Hour, time.Minute, func(c *Config, d time.Duration) { c.Batch.EMR.Idle = d }),

	"athena.scan_limit_gib": number(1, 100_000, func(c *Config, n int) { c.Athena.ScanLimitGiB = n }),
	"alarms.topic":          matching(topicARN, "the ARN of an SNS topic", func(c *Config, v string) { c.Alarms.Topic = v }),
	"alarms.rejects":        number(0, 1_000_000_000, func(c *Config, n int) { c.Alarms.Rejects = n }),
	"removal":               choice(func(c *Config, v string) { c.Retain = v == "retain" }, "retain", "destroy"),
}

func choice(set func(*Config, string), values ...string) key {
	return key{strings.Join(values, " or "), func(c *Config, text string) bool {
		for _, v := range values {
			if v == text {
				set(c, v)
				return true
			}
		}
		return false
	}}
}

func number(from, to int, set func(*Config, int)) key {
	return key{fmt.Sprintf("a whole number from %d to %d", from, to), func(c *Config, text string) bool {
		n, err := strconv.Atoi(text)
		if err != nil || n < from || n > to {
			return false
		}
		set(c, n)
		return true
	}}
}

func span(from, to, step time.Duration, set func(*Config, time.Duration)) key {
	unit := map[time.Duration]string{time.Second: "seconds", time.Minute: "minutes", time.Hour: "hours"}[step]
	short := unit[:1]
	return key{fmt.Sprintf("whole %s from %d%s to %d%s", unit, from/step, short, to/step, short), func(c *Config, text string) bool {
		d, err := time.ParseDuration(text)
		if err != nil || d < from || d > to || d%step != 0 {
			return false
		}
		set(c, d)
		return true
	}}
}

func matching(pattern *regexp.Regexp, what string, set func(*Config, string)) key {
	return key{what, func(c *Config, text string) bool {
		if !pattern.MatchString(text) {
			return false
		}
		set(c, text)
		return true
	}}
}

// crawling takes off, by-hand, or the form of AWS, in which either the day of the
// month or that of the week is a question mark.
func crawling() key {
	return key{"off or by-hand or a cron expression of AWS in UTC, such as cron(0 6 * * ? *): minutes, hours, day of month, month, day of week, year; one of the days is ?", func(c *Config, text string) bool {
		fields := cronRule.FindStringSubmatch(text)
		switch {
		case text == "off":
			c.Crawler.Off = true
		case text == "by-hand":
		case fields == nil || (fields[1] == "?") == (fields[2] == "?"):
			return false
		default:
			c.Crawler.Schedule = text
		}
		return true
	}}
}
