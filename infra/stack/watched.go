package stack

import (
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment"
)

// What the graphs show beside what the alarms watch.
func (p AlarmsProps) graphs() []graph {
	stream, api, table := p.Pipeline.Stream, p.Pipeline.API.HTTP, p.Pipeline.Tables.Items
	query := p.Pipeline.Functions.Query
	five := statistic("Sum", 5*time.Minute)
	return []graph{
		{"Events into the stream, in records", []awscloudwatch.IMetric{stream.MetricIncomingRecords(five)}},
		{"Runs that ended well, and that failed", []awscloudwatch.IMetric{p.own(deployment.PublishedMetric, "Sum", 5*time.Minute), p.own(deployment.BatchFailsMetric, "Sum", 5*time.Minute)}},
		{"Requests of the API", []awscloudwatch.IMetric{api.MetricCount(five), api.MetricClientError(five)}},
		{"Time to answer (ms), median and 99th percentile", []awscloudwatch.IMetric{api.MetricLatency(statistic("p50", 5*time.Minute)), api.MetricLatency(statistic("p99", 5*time.Minute))}},
		{"Invocations of speed and query", []awscloudwatch.IMetric{p.Pipeline.Functions.Speed.MetricInvocations(five), query.MetricInvocations(five)}},
		{"Write units of items", []awscloudwatch.IMetric{table.MetricConsumedWriteCapacityUnits(five)}},
	}
}

func (p AlarmsProps) streamAlarms() []alarm {
	stream := p.Pipeline.Stream
	return []alarm{
		{
			id: "StreamFull", title: "Refused writes to the stream",
			meaning: "Producers send more than the shards take; who does not repeat loses events before they reach the stream. Add shards, or wait for the stream on demand to grow.",
			metric:  stream.MetricWriteProvisionedThroughputExceeded(sum()), periods: 5,
		},
		{
			id: "StreamReadersThrottled", title: "Refused reads of the stream",
			meaning: "Speed, Firehose and a batch run share what a shard lets be read, and it is used up. Answers become late. Add shards, or take other readers off the stream.",
			metric:  stream.MetricReadProvisionedThroughputExceeded(sum()), periods: 15,
		},
	}
}

func (p AlarmsProps) speedAlarms() []alarm {
	speed, tables := p.Pipeline.Functions.Speed, p.Pipeline.Tables
	out := []alarm{
		{
			id: "SpeedBehind", title: "Age of the oldest event that speed has not seen (ms)",
			meaning: "The speed layer is a minute behind the stream: answers are late, not wrong. Look at the speed function's errors first; an event that it cannot read again in the stream's retention would be a gap that stops the shard.",
			metric:  speed.Metric(jsii.String("IteratorAge"), most()), limit: 60_000, periods: 5,
		},
		{
			id: "SpeedFails", title: "Failed invocations of speed",
			meaning: "Invocations of the speed function fail and are repeated. Nothing is lost while the stream keeps the events. The function's log says why.",
			metric:  speed.MetricErrors(sum()), periods: 5,
		},
		{
			id: "SpeedThrottled", title: "Throttled invocations of speed",
			meaning: "Lambda refuses to run the speed function: the account's concurrency is used up. A shard needs one invocation at a time.",
			metric:  speed.MetricThrottles(sum()), periods: 5,
		},
	}
	for _, t := range []struct {
		id, what string
		table    awsdynamodb.ITable
	}{{"Items", "items", tables.Items}, {"Ledger", "the ledger", tables.Ledger}} {
		for _, kind := range []string{"Write", "Read"} {
			out = append(out, alarm{
				id: t.id + kind + "sThrottled", title: "Refused " + strings.ToLower(kind) + "s of " + t.what,
				meaning: "DynamoDB refuses " + strings.ToLower(kind) + "s of " + t.what + ". Answers stay exact and become late. Look for one shard with far more events than the others, and for account limits.",
				metric:  throttles(t.table, kind), periods: 5,
			})
		}
	}
	return out
}

func (p AlarmsProps) masterAlarms() []alarm {
	transform, delivery := p.Pipeline.Functions.Transform, p.Pipeline.Delivery
	return []alarm{
		{
			id: "EventsRejected", title: "Rejected events",
			meaning: "Events break the definition's rules. They are kept in the master dataset with their reason and are in no view. `watershed rejects --stack` shows reasons and examples; a producer may have changed what it sends.",
			metric:  p.own(deployment.RejectedMetric, "Sum", 5*time.Minute), limit: float64(p.Config.Alarms.Rejects), periods: 1,
		},
		{
			id: "TransformFails", title: "Failed invocations of transform",
			meaning: "Firehose cannot make rows of events. It repeats, then writes the events under failed/ in the master bucket; the next batch run notices the hole and fills it from the stream. The function's log says why.",
			metric:  transform.MetricErrors(sum()), periods: 5,
		},
		{
			id: "TransformThrottled", title: "Throttled invocations of transform",
			meaning: "Lambda refuses to run the transform: the account's concurrency is used up, and the master dataset falls behind.",
			metric:  transform.MetricThrottles(sum()), periods: 5,
		},
		{
			id: "DeliveryBehind", title: "Age of the oldest event that is not in the master dataset (s)",
			meaning: "Firehose is behind: no new version can be published until the master dataset has what the ledger has. If Firehose cannot write to the bucket it stops for ever: look at its log, the key's policy and the bucket's.",
			metric:  delivery.Metric(jsii.String("DeliveryToS3.DataFreshness"), most()), limit: p.Config.Delivery.Interval.Seconds() + 600, periods: 5,
		},
		{
			id: "ConversionFails", title: "Events that could not be made Parquet",
			meaning: "Firehose could not convert rows: the table in Glue and the transform disagree. Deploy both from one definition.",
			metric:  delivery.Metric(jsii.String("FailedConversion.Records"), sum()), periods: 1,
		},
	}
}

func (p AlarmsProps) batchAlarms() []alarm {
	runs := p.Pipeline.Batch.Runs
	out := []alarm{
		{
			id: "LedgerMismatch", title: "Shards whose ledger and master dataset disagree",
			meaning: "The two entries disagree and repairing did not help: nothing is published, the last version goes on answering. The batch function's log names each shard with both counts. See the runbook before anything is deleted.",
			metric:  p.own(deployment.MismatchMetric, "Sum", time.Minute), periods: 1,
		},
		{
			id: "EventsRepaired", title: "Events that were written again from the stream",
			meaning: "The master dataset had missed events, and a run wrote them again from the stream: the version is right. Find out why Firehose missed them; after the stream's retention nothing can be written again.",
			metric:  p.own(deployment.RepairedMetric, "Sum", time.Minute), periods: 1,
		},
		{
			id: "RunsFail", title: "Failed batch runs",
			meaning: "A batch run ended in an error. Answers stay exact, and real-time items pile up until a run succeeds. `watershed status --stack` and the execution in Step Functions say why, and whether the version is published all the same; the next run does what this one did not.",
			metric:  runs.MetricFailed(sum()), periods: 1,
		},
		{
			id: "RunsTimeOut", title: "Batch runs that took too long",
			meaning: "A batch run was ended because it took longer than the state machine allows. Look how long its engine computed; give it more workers or a longer batch.timeout.",
			metric:  runs.MetricTimedOut(sum()), periods: 1,
		},
	}
	if period, n := versionAge(p.Definition.Batch); n > 0 {
		out = append(out, alarm{
			id: "VersionOld", title: "Runs that ended well, in a period of the schedule",
			meaning: "No run has ended well for several periods of the schedule: answers stay exact and cost more, since real-time items pile up. Look whether runs are started, and at the last execution in Step Functions.",
			metric:  p.own(deployment.PublishedMetric, "Sum", period), limit: 1, periods: n, absence: true,
		})
	}
	return out
}

// The most that CloudWatch looks back in an alarm: a day, or a week in periods of
// an hour or more.
const (
	longestPeriod   = 24 * time.Hour
	longestLookBack = 7 * 24 * time.Hour
)

// missedVersions is after how many periods without a version somebody is told. A
// run that takes its time or is repeated once stays below it.
const missedVersions = 3

// versionAge is the period in which a run should have ended well, and how many
// periods without one are too many; 0: runs start by hand, or so rarely that
// CloudWatch does not look back far enough.
func versionAge(b definition.Batch) (period time.Duration, n int) {
	switch {
	case b.Continuous:
		return 15 * time.Minute, 4
	case b.Every == 0:
		return 0, 0
	case missedVersions*b.Every <= longestPeriod:
		return max((b.Every + time.Minute - 1).Truncate(time.Minute), 5*time.Minute), missedVersions
	}
	// In hours of which so many have passed.
	hours := int((missedVersions*b.Every + time.Hour - 1) / time.Hour)
	hours = min(hours, int(longestLookBack/time.Hour))
	if time.Duration(hours)*time.Hour <= b.Every {
		return 0, 0
	}
	return time.Hour, hours
}

func (p AlarmsProps) servingAlarms() []alarm {
	query := p.Pipeline.Functions.Query
	return []alarm{
		{
			id: "QueriesFail", title: "Failed requests of the API",
			meaning: "The API answers with 5xx. 503 says that an answer cannot be exact just now; others are errors of the query function, whose log says which.",
			metric:  p.Pipeline.API.HTTP.MetricServerError(sum()), periods: 5,
		},
		{
			id: "QueryThrottled", title: "Throttled invocations of query",
			meaning: "Lambda refuses to run the query function: the account's concurrency is used up. Lower api.rate, or have the limit raised.",
			metric:  query.MetricThrottles(sum()), periods: 5,
		},
	}
}

// own is a metric that the functions write themselves.
func (p AlarmsProps) own(name, stat string, period time.Duration) awscloudwatch.IMetric {
	options := statistic(stat, period)
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(deployment.Metrics), MetricName: jsii.String(name),
		DimensionsMap: &map[string]*string{deployment.PipelineDimension: jsii.String(p.Definition.Pipeline)},
		Statistic:     options.Statistic, Period: options.Period,
	})
}

// throttles is how many requests of a kind, Write or Read, a table has refused in a
// minute.
func throttles(table awsdynamodb.ITable, kind string) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/DynamoDB"), MetricName: jsii.String(kind + "ThrottleEvents"),
		DimensionsMap: &map[string]*string{"TableName": table.TableName()},
		Statistic:     jsii.String("Sum"), Period: awscdk.Duration_Minutes(jsii.Number(1)),
	})
}

// most is the largest value in a minute, and sum what a minute adds up to.
func most() *awscloudwatch.MetricOptions { return statistic("Maximum", time.Minute) }
func sum() *awscloudwatch.MetricOptions  { return statistic("Sum", time.Minute) }

func statistic(name string, period time.Duration) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{Statistic: jsii.String(name), Period: awscdk.Duration_Seconds(jsii.Number(period.Seconds()))}
}
