package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
)

// CrawlerProps is what is looked at, and where what was found goes.
type CrawlerProps struct {
	Name    string // of the stack
	Config  config.Crawler
	Buckets *Buckets
	Catalog *Catalog
	Key     awskms.IKey
}

// Crawler is the crawler of landed files, and what it may.
type Crawler struct {
	Role    awsiam.Role
	Crawler awsglue.CfnCrawler
}

// landedTables begins the names of the tables that the crawler makes, so that they
// are not taken for the pipeline's own.
const landedTables = "landed_"

// NewCrawler makes what finds out the columns of files that have landed, so that
// Athena can read them before they are loaded. It changes no table of the pipeline.
func NewCrawler(scope constructs.Construct, id string, props CrawlerProps) *Crawler {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	role := assumedFor(scope, "Role", "glue.amazonaws.com")
	landing := props.Buckets.Landing
	catalog := props.Catalog.arns()
	allow(role, []string{"s3:GetObject"}, *landing.ArnForObjects(jsii.String("*")))
	allow(role, []string{"s3:GetBucketLocation", "s3:ListBucket"}, *landing.BucketArn())
	allow(role, []string{"kms:Decrypt"}, *props.Key.KeyArn())
	allow(role, []string{
		"glue:BatchCreatePartition", "glue:BatchGetPartition", "glue:BatchUpdatePartition", "glue:CreatePartition", "glue:CreateTable",
		"glue:GetDatabase", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable", "glue:GetTables", "glue:UpdatePartition", "glue:UpdateTable",
	}, catalog[0], catalog[1], props.Catalog.table(landedTables+"*"))
	// Glue makes the log group, named after the security configuration.
	allow(role, []string{"logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}, arn("logs", "log-group:/aws-glue/crawlers*"))
	security := awsglue.NewSecurityConfiguration(scope, jsii.String("Security"), &awsglue.SecurityConfigurationProps{
		SecurityConfigurationName: jsii.String(props.Name + "-crawler"),
		CloudWatchEncryption:      awsglue.CloudWatchEncryption_Kms(props.Key),
	})
	crawler := awsglue.NewCfnCrawler(scope, jsii.String("Crawler"), &awsglue.CfnCrawlerProps{
		Description:                  jsii.String("Finds out the columns of landed files"),
		Role:                         role.RoleArn(),
		DatabaseName:                 props.Catalog.Database,
		CrawlerSecurityConfiguration: security.SecurityConfigurationName(),

		TablePrefix: jsii.String(landedTables),
		Targets: &awsglue.CfnCrawler_TargetsProperty{
			S3Targets: &[]*awsglue.CfnCrawler_S3TargetProperty{{Path: jsii.String("s3://" + *landing.BucketName() + "/")}},
		},
		// A file that is gone leaves its table: landed files expire.
		SchemaChangePolicy: &awsglue.CfnCrawler_SchemaChangePolicyProperty{UpdateBehavior: jsii.String("UPDATE_IN_DATABASE"), DeleteBehavior: jsii.String("LOG")},
	})
	if props.Config.Schedule != "" {
		crawler.SetSchedule(&awsglue.CfnCrawler_ScheduleProperty{ScheduleExpression: jsii.String(props.Config.Schedule)})
	}
	crawler.Node().AddDependency(role)
	return &Crawler{Role: role, Crawler: crawler}
}
