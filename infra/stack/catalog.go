package stack

import (
	"errors"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsathena"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsglue"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/athena"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/sql"
	"github.com/watershed-data/watershed/internal/tables"
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
	Delivered awsglue.CfnTable // the master dataset, by which Firehose converts rows
	WorkGroup awsathena.CfnWorkGroup
}

// rowsPrefix is where internal/aws looks for the files of a generation's master
// dataset.
func rowsPrefix(def *definition.Definition) string { return "master/" + def.Generation + "/" }

// NewCatalog makes the catalog.
func NewCatalog(scope constructs.Construct, id string, props CatalogProps) (*Catalog, error) {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	name := jsii.String(databaseName(props.Definition.Pipeline))
	account := awscdk.Aws_ACCOUNT_ID()
	database := awsglue.NewCfnDatabase(scope, jsii.String("Database"), &awsglue.CfnDatabaseProps{
		CatalogId:     account,
		DatabaseInput: &awsglue.CfnDatabase_DatabaseInputProperty{Name: name, Description: jsii.String("Watershed pipeline " + props.Definition.Pipeline)},
	})
	made, err := props.tables()
	if err != nil {
		return nil, err
	}
	c := &Catalog{Database: name, WorkGroup: workGroup(scope, props)}
	construct := constructs.NewConstruct(scope, jsii.String("Tables"))
	for _, t := range made {
		awsglue.NewCfnTable(construct, t.Name, &awsglue.CfnTableProps{CatalogId: account, DatabaseName: name, TableInput: t}).AddResourceDependency(database, nil)
	}
	c.Delivered = awsglue.NewCfnTable(ofGeneration(scope, props.Definition), jsii.String("Delivered"), &awsglue.CfnTableProps{CatalogId: account, DatabaseName: name, TableInput: props.delivered()})
	c.Delivered.AddResourceDependency(database, nil)
	return c, c.queries(scope, props)
}

// ofGeneration gives a scope whose resources are of one generation: a deployment with
// another one makes them anew, and CloudFormation deletes the old ones when all else
// is done. What makes rows and stores them stands in such scopes. Were it changed in
// its place, one generation's rows would end up, for some moments, among the other
// one's, also when the deployment is taken back; and they would balance, since the
// figures are of what producers sent.
func ofGeneration(scope constructs.Construct, def *definition.Definition) constructs.Construct {
	return constructs.NewConstruct(scope, jsii.String("Of"+def.Generation))
}

// delivered is the table by which Firehose converts rows of the generation. That of
// the master dataset, for people, changes with the definition.
func (p CatalogProps) delivered() *awsglue.CfnTable_TableInputProperty {
	dialect := sql.Athena{Def: p.Definition}
	t := dialect.Rows(*p.Buckets.Master.BucketName())
	t.Name, t.Description = deliveredTable(p.Definition), "By this table Firehose converts what it delivers into the master dataset"
	return parquetTable(t)
}

// deliveredTable is the name of that table.
func deliveredTable(def *definition.Definition) string { return sql.RowsTable + "_" + def.Generation }

// catalogFits says what cannot be in the catalog. It needs no CDK.
func catalogFits(def *definition.Definition) error {
	dialect := sql.Athena{Def: def, Database: databaseName(def.Pipeline)}
	merged, err := dialect.Merged(nil)
	errs := []error{dialect.CheckNames(), err}
	for _, v := range merged {
		_, err := v.Text(dialect.Database)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// tables gives what the database holds: the master dataset, the versions of each view,
// and the merged views. Until there is a version, these are of the master dataset
// alone; a run replaces them when it publishes one.
func (p CatalogProps) tables() ([]*awsglue.CfnTable_TableInputProperty, error) {
	dialect := sql.Athena{Def: p.Definition, Database: databaseName(p.Definition.Pipeline), Bucket: *p.Buckets.Views.BucketName()}
	versions, err := dialect.Tables()
	if err != nil {
		return nil, err
	}
	var out []*awsglue.CfnTable_TableInputProperty
	for _, t := range append([]tables.Table{dialect.Rows(*p.Buckets.Master.BucketName())}, versions...) {
		out = append(out, parquetTable(t))
	}
	merged, err := dialect.Merged(nil)
	if err != nil {
		return nil, err
	}
	for _, v := range merged {
		text, err := v.Text(dialect.Database)
		if err != nil {
			return nil, err
		}
		out = append(out, &awsglue.CfnTable_TableInputProperty{
			Name: jsii.String(v.Name), Description: jsii.String(v.Comment()), TableType: jsii.String(tables.VirtualView), Parameters: v.Parameters(),
			ViewOriginalText: jsii.String(text), ViewExpandedText: jsii.String(tables.ExpandedText),
			StorageDescriptor: &awsglue.CfnTable_StorageDescriptorProperty{Columns: columns(v.Columns), SerdeInfo: &awsglue.CfnTable_SerdeInfoProperty{}},
		})
	}
	return out, nil
}

func parquetTable(t tables.Table) *awsglue.CfnTable_TableInputProperty {
	return &awsglue.CfnTable_TableInputProperty{
		Name: jsii.String(t.Name), Description: jsii.String(t.Description), TableType: jsii.String(tables.ExternalTable),
		Parameters: t.Parameters, PartitionKeys: columns(t.Partitions),
		StorageDescriptor: &awsglue.CfnTable_StorageDescriptorProperty{
			Location: jsii.String(t.Location), Columns: columns(t.Columns),
			InputFormat: jsii.String(tables.ParquetInput), OutputFormat: jsii.String(tables.ParquetOutput),
			SerdeInfo: &awsglue.CfnTable_SerdeInfoProperty{SerializationLibrary: jsii.String(tables.ParquetSerDe)},
		},
	}
}

func columns(of []tables.Column) *[]*awsglue.CfnTable_ColumnProperty {
	out := []*awsglue.CfnTable_ColumnProperty{}
	for _, c := range of {
		out = append(out, &awsglue.CfnTable_ColumnProperty{Name: jsii.String(c.Name), Type: jsii.String(c.Hive)})
	}
	return &out
}

// queries makes the workgroup's named queries.
func (c *Catalog) queries(scope constructs.Construct, props CatalogProps) error {
	list, err := athena.Queries(props.Definition)
	if err != nil {
		return err
	}
	construct := constructs.NewConstruct(scope, jsii.String("Queries"))
	for _, q := range list {
		query := awsathena.NewCfnNamedQuery(construct, jsii.String(q.Name), &awsathena.CfnNamedQueryProps{
			Name: jsii.String(q.Name), Description: jsii.String(q.Description), QueryString: jsii.String(q.SQL),
			Database: c.Database, WorkGroup: c.WorkGroup.Name(),
		})
		query.AddResourceDependency(c.WorkGroup, nil)
	}
	return nil
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
