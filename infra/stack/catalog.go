package stack

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsathena"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/definition"
)

// CatalogProps is what the catalog describes.
type CatalogProps struct {
	Definition   *definition.Definition
	Buckets      *Buckets
	Key          awskms.IKey
	ScanLimitGiB int
}

// Catalog is the database in Glue and the workgroup in Athena.
type Catalog struct {
	Database  *string
	Rows      awsglue.CfnTable // the master dataset
	WorkGroup awsathena.CfnWorkGroup
}

// rowsPrefix is where internal/aws looks for the files of a generation's master
// dataset. The table has no partitions: whoever merges files or repairs a hole
// writes them beside Firehose's, and a reader has to see them all.
func rowsPrefix(def *definition.Definition) string { return "master/" + def.Generation + "/" }

// NewCatalog makes the catalog.
func NewCatalog(scope constructs.Construct, id string, props CatalogProps) *Catalog {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	name := jsii.String(databaseName(props.Definition.Pipeline))
	account := awscdk.Aws_ACCOUNT_ID()
	database := awsglue.NewCfnDatabase(scope, jsii.String("Database"), &awsglue.CfnDatabaseProps{
		CatalogId:     account,
		DatabaseInput: &awsglue.CfnDatabase_DatabaseInputProperty{Name: name, Description: jsii.String("Watershed pipeline " + props.Definition.Pipeline)},
	})
	location := "s3://" + *props.Buckets.Master.BucketName() + "/" + rowsPrefix(props.Definition)
	rows := awsglue.NewCfnTable(scope, jsii.String("Rows"), &awsglue.CfnTableProps{
		CatalogId:    account,
		DatabaseName: name,
		TableInput: &awsglue.CfnTable_TableInputProperty{
			Name:        jsii.String("rows"),
			Description: jsii.String("The master dataset: a row for each event, also rejected and dropped ones"),
			TableType:   jsii.String("EXTERNAL_TABLE"),
			Parameters:  map[string]string{"classification": "parquet"},
			StorageDescriptor: &awsglue.CfnTable_StorageDescriptorProperty{
				Location:     jsii.String(location),
				Columns:      columns(props.Definition),
				InputFormat:  jsii.String("org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"),
				OutputFormat: jsii.String("org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"),
				SerdeInfo:    &awsglue.CfnTable_SerdeInfoProperty{SerializationLibrary: jsii.String("org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe")},
			},
		},
	})
	rows.AddResourceDependency(database, nil)
	return &Catalog{Database: name, Rows: rows, WorkGroup: workGroup(scope, props)}
}

// columns are those of the master dataset, one for one.
func columns(def *definition.Definition) *[]*awsglue.CfnTable_ColumnProperty {
	var out []*awsglue.CfnTable_ColumnProperty
	for _, c := range archive.Columns(def) {
		out = append(out, &awsglue.CfnTable_ColumnProperty{Name: jsii.String(c.Name), Type: jsii.String(glueType(c.Physical))})
	}
	return &out
}

func glueType(p archive.Physical) string {
	switch p {
	case archive.Text:
		return "string"
	case archive.Int64:
		return "bigint"
	case archive.Int32:
		return "int"
	case archive.Boolean:
		return "boolean"
	case archive.Double:
		return "double"
	}
	panic(fmt.Sprintf("physical type %d has no type in Glue", p))
}

// workGroup is where people's queries run: encrypted results, and an end to
// queries that read more than was meant.
func workGroup(scope constructs.Construct, props CatalogProps) awsathena.CfnWorkGroup {
	return awsathena.NewCfnWorkGroup(scope, jsii.String("WorkGroup"), &awsathena.CfnWorkGroupProps{
		Name:                  jsii.String(StackName(props.Definition.Pipeline)),
		Description:           jsii.String("Queries of Watershed pipeline " + props.Definition.Pipeline),
		RecursiveDeleteOption: jsii.Bool(true),
		WorkGroupConfiguration: &awsathena.CfnWorkGroup_WorkGroupConfigurationProperty{
			EnforceWorkGroupConfiguration:   jsii.Bool(true),
			PublishCloudWatchMetricsEnabled: jsii.Bool(true),
			BytesScannedCutoffPerQuery:      jsii.Number(float64(props.ScanLimitGiB) * (1 << 30)),
			EngineVersion:                   &awsathena.CfnWorkGroup_EngineVersionProperty{SelectedEngineVersion: jsii.String("Athena engine version 3")},
			ResultConfiguration: &awsathena.CfnWorkGroup_ResultConfigurationProperty{
				OutputLocation: jsii.String("s3://" + *props.Buckets.Staging.BucketName() + "/athena/"),
				EncryptionConfiguration: &awsathena.CfnWorkGroup_EncryptionConfigurationProperty{
					EncryptionOption: jsii.String("SSE_KMS"), KmsKey: props.Key.KeyArn(),
				},
			},
		},
	})
}
