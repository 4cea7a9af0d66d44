package stack

import (
	"encoding/json"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2authorizers"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
)

// APIProps is what answers, and how much of it.
type APIProps struct {
	Name    string // of the API, for people
	Config  config.API
	Query   awslambda.IFunction
	Key     awskms.IKey // of the log of accesses
	Removal awscdk.RemovalPolicy
}

// API is the HTTP API of a pipeline.
type API struct {
	HTTP  awsapigatewayv2.HttpApi
	Stage awsapigatewayv2.CfnStage
}

// routes are those that a policy of IAM can name, so that who may ask need not be
// who may start a run. Everything else comes by the default route, with the same
// authorisation, and the function answers it.
var routes = []struct {
	method awsapigatewayv2.HttpMethod
	path   string
}{
	{awsapigatewayv2.HttpMethod_GET, "/healthz"},
	{awsapigatewayv2.HttpMethod_GET, "/v1/batch"},
	{awsapigatewayv2.HttpMethod_GET, "/v1/openapi.json"},
	{awsapigatewayv2.HttpMethod_GET, "/v1/query"},
	{awsapigatewayv2.HttpMethod_GET, "/v1/rejects"},
	{awsapigatewayv2.HttpMethod_GET, "/v1/status"},
	{awsapigatewayv2.HttpMethod_POST, "/v1/batch"},
}

// accessFields are what is logged of a request. Its parameters are not: they may
// hold a person's data, as the values of a where do.
var accessFields = map[string]string{
	"requestId": "$context.requestId", "time": "$context.requestTime", "caller": "$context.identity.userArn", "ip": "$context.identity.sourceIp",
	"route": "$context.routeKey", "status": "$context.status", "milliseconds": "$context.responseLatency", "bytes": "$context.responseLength",
	"error": "$context.error.message", "integrationError": "$context.integrationErrorMessage",
}

// NewAPI makes the API. Every route of it wants a request that is signed by
// somebody with execute-api:Invoke on that route.
func NewAPI(scope constructs.Construct, id string, props APIProps) *API {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	integration := awsapigatewayv2integrations.NewHttpLambdaIntegration(jsii.String("Query"), props.Query, &awsapigatewayv2integrations.HttpLambdaIntegrationProps{
		ScopePermissionToRoute: jsii.Bool(false), // the API may invoke the function, by whichever route
	})
	api := awsapigatewayv2.NewHttpApi(scope, jsii.String("HTTP"), &awsapigatewayv2.HttpApiProps{
		ApiName:            jsii.String(props.Name),
		Description:        jsii.String("The serving layer of Watershed"),
		CreateDefaultStage: jsii.Bool(false),
		DefaultAuthorizer:  awsapigatewayv2authorizers.NewHttpIamAuthorizer(),
		DefaultIntegration: integration,
	})
	for _, r := range routes {
		api.AddRoutes(&awsapigatewayv2.AddRoutesOptions{Path: jsii.String(r.path), Methods: &[]awsapigatewayv2.HttpMethod{r.method}, Integration: integration})
	}
	format, err := json.Marshal(accessFields)
	if err != nil {
		panic(err) // of texts: never
	}
	stage := awsapigatewayv2.NewCfnStage(scope, jsii.String("Stage"), &awsapigatewayv2.CfnStageProps{
		ApiId:      api.ApiId(),
		StageName:  jsii.String("$default"),
		AutoDeploy: jsii.Bool(true),
		AccessLogSettings: &awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
			DestinationArn: newLog(scope, "Log", props.Key, props.Removal).LogGroupArn(),
			Format:         jsii.String(string(format)),
		},
		DefaultRouteSettings: &awsapigatewayv2.CfnStage_RouteSettingsProperty{
			ThrottlingRateLimit:  jsii.Number(props.Config.Rate),
			ThrottlingBurstLimit: jsii.Number(props.Config.Burst),
		},
	})
	return &API{HTTP: api, Stage: stage}
}
