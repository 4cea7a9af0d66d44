package stack

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
	"github.com/watershed-data/watershed/internal/definition"
)

// AlarmsProps is what is watched, and who hears of it.
type AlarmsProps struct {
	Config     config.Config
	Definition *definition.Definition
	Pipeline   *Pipeline
}

// alarm is one thing that is watched.
type alarm struct {
	id      string
	title   string // on the dashboard
	meaning string // what it means, and what to do
	metric  awscloudwatch.IMetric
	limit   float64
	periods int  // of the metric: for how long it is beyond the limit
	absence bool // too little is wrong, and nothing as well
}

// graph is what only shows on the dashboard.
type graph struct {
	title   string
	metrics []awscloudwatch.IMetric
}

// NewAlarms makes an alarm and a graph for everything that is watched, below graphs
// of how much the pipeline does.
func NewAlarms(scope constructs.Construct, id string, props AlarmsProps) {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	var action awscloudwatch.IAlarmAction
	if topic := props.Config.Alarms.Topic; topic != "" {
		action = awscloudwatchactions.NewSnsAction(awssns.Topic_FromTopicArn(scope, jsii.String("Topic"), jsii.String(topic)))
	}
	dashboard := awscloudwatch.NewDashboard(scope, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DashboardName: props.Pipeline.Stack.StackName(),
	})
	for _, g := range props.graphs() {
		dashboard.AddWidgets(awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
			Title: jsii.String(g.title), Left: &g.metrics, Width: jsii.Number(8),
		}))
	}
	for _, a := range props.alarms() {
		alarm := a.add(scope)
		if action != nil {
			alarm.AddAlarmAction(action)
			alarm.AddOkAction(action)
		}
		dashboard.AddWidgets(awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
			Title:           jsii.String(a.title),
			Left:            &[]awscloudwatch.IMetric{a.metric},
			LeftAnnotations: &[]*awscloudwatch.HorizontalAnnotation{{Value: jsii.Number(a.limit)}},
			Width:           jsii.Number(8),
		}))
	}
}

func (a alarm) add(scope constructs.Construct) awscloudwatch.Alarm {
	props := &awscloudwatch.AlarmProps{
		AlarmDescription:   jsii.String(a.meaning),
		Metric:             a.metric,
		Threshold:          jsii.Number(a.limit),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
		EvaluationPeriods:  jsii.Number(a.periods),
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	}
	if a.absence {
		props.ComparisonOperator = awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD
		props.TreatMissingData = awscloudwatch.TreatMissingData_BREACHING
	}
	return awscloudwatch.NewAlarm(scope, jsii.String(a.id), props)
}

// alarms lists what is watched, in the order in which events pass.
func (p AlarmsProps) alarms() []alarm {
	return slices.Concat(p.streamAlarms(), p.speedAlarms(), p.masterAlarms(), p.batchAlarms(), p.servingAlarms())
}
