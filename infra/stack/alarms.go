package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
)

// AlarmsProps is what is watched, and who hears of it.
type AlarmsProps struct {
	Topic    string // ARN of an SNS topic; "": nobody
	Delivery config.Delivery
	Pipeline *Pipeline
}

// alarm is one thing that is watched.
type alarm struct {
	id      string
	title   string // on the dashboard
	meaning string // what it means, and what to do
	metric  awscloudwatch.IMetric
	above   float64
	minutes float64 // for how long
}

// NewAlarms makes an alarm and a graph for everything that is watched.
func NewAlarms(scope constructs.Construct, id string, props AlarmsProps) {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	var action awscloudwatch.IAlarmAction
	if props.Topic != "" {
		action = awscloudwatchactions.NewSnsAction(awssns.Topic_FromTopicArn(scope, jsii.String("Topic"), jsii.String(props.Topic)))
	}
	dashboard := awscloudwatch.NewDashboard(scope, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DashboardName: props.Pipeline.Stack.StackName(),
	})
	for _, a := range props.alarms() {
		alarm := awscloudwatch.NewAlarm(scope, jsii.String(a.id), &awscloudwatch.AlarmProps{
			AlarmDescription:   jsii.String(a.meaning),
			Metric:             a.metric,
			Threshold:          jsii.Number(a.above),
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
			EvaluationPeriods:  jsii.Number(a.minutes),
			TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
		})
		if action != nil {
			alarm.AddAlarmAction(action)
			alarm.AddOkAction(action)
		}
		dashboard.AddWidgets(awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
			Title:           jsii.String(a.title),
			Left:            &[]awscloudwatch.IMetric{a.metric},
			LeftAnnotations: &[]*awscloudwatch.HorizontalAnnotation{{Value: jsii.Number(a.above)}},
			Width:           jsii.Number(12),
		}))
	}
}

// alarms lists what is watched.
func (p AlarmsProps) alarms() []alarm {
	speed, transform := p.Pipeline.Functions.Speed, p.Pipeline.Functions.Transform
	most := &awscloudwatch.MetricOptions{Statistic: jsii.String("Maximum"), Period: awscdk.Duration_Minutes(jsii.Number(1))}
	sum := &awscloudwatch.MetricOptions{Statistic: jsii.String("Sum"), Period: awscdk.Duration_Minutes(jsii.Number(1))}
	throttled := func(what string) string {
		return "DynamoDB refuses " + what + ". Answers stay exact and become late. Look for one shard with far more events than the others, and for account limits."
	}
	return []alarm{
		{"SpeedBehind", "Age of the oldest event that speed has not seen (ms)",
			"The speed layer is a minute behind the stream: answers are late, not wrong. Look at the speed function's errors first; an event that it cannot read again in the stream's retention would be a gap that stops the shard.",
			speed.Metric(jsii.String("IteratorAge"), most), 60_000, 5},
		{"SpeedFails", "Failed invocations of speed",
			"Invocations of the speed function fail and are repeated. Nothing is lost while the stream keeps the events. The function's log says why.",
			speed.MetricErrors(sum), 0, 5},
		{"SpeedThrottled", "Throttled invocations of speed",
			"Lambda refuses to run the speed function: the account's concurrency is used up. A shard needs one invocation at a time.",
			speed.MetricThrottles(sum), 0, 5},
		{"TransformFails", "Failed invocations of transform",
			"Firehose cannot make rows of events. It repeats, then writes the events under failed/ in the master bucket; the next batch run notices the hole and fills it from the stream. The function's log says why.",
			transform.MetricErrors(sum), 0, 5},
		{"TransformThrottled", "Throttled invocations of transform",
			"Lambda refuses to run the transform: the account's concurrency is used up, and the master dataset falls behind.",
			transform.MetricThrottles(sum), 0, 5},
		{"DeliveryBehind", "Age of the oldest event that is not in the master dataset (s)",
			"Firehose is behind: no new version can be published until the master dataset has what the ledger has. If Firehose cannot write to the bucket it stops for ever: look at its log, the key's policy and the bucket's.",
			p.Pipeline.Delivery.Metric(jsii.String("DeliveryToS3.DataFreshness"), most), p.Delivery.Interval.Seconds() + 600, 5},
		{"ConversionFails", "Events that could not be made Parquet",
			"Firehose could not convert rows: the table in Glue and the transform disagree. Deploy both from one definition.",
			p.Pipeline.Delivery.Metric(jsii.String("FailedConversion.Records"), sum), 0, 1},
		{"StreamFull", "Refused writes to the stream",
			"Producers send more than the shards take; who does not repeat loses events before they reach the stream. Add shards, or wait for the stream on demand to grow.",
			p.Pipeline.Stream.MetricWriteProvisionedThroughputExceeded(sum), 0, 5},
		{"StreamReadersThrottled", "Refused reads of the stream",
			"Speed, Firehose and a batch run share what a shard lets be read, and it is used up. Answers become late.",
			p.Pipeline.Stream.MetricReadProvisionedThroughputExceeded(sum), 0, 15},
		{"ItemsWritesThrottled", "Refused writes of items", throttled("writes of items"), throttles(p.Pipeline.Tables.Items, "Write"), 0, 5},
		{"ItemsReadsThrottled", "Refused reads of items", throttled("reads of items"), throttles(p.Pipeline.Tables.Items, "Read"), 0, 5},
		{"LedgerWritesThrottled", "Refused writes of the ledger", throttled("writes of the ledger"), throttles(p.Pipeline.Tables.Ledger, "Write"), 0, 5},
		{"LedgerReadsThrottled", "Refused reads of the ledger", throttled("reads of the ledger"), throttles(p.Pipeline.Tables.Ledger, "Read"), 0, 5},
	}
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
