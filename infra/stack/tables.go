package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// TablesProps is how the tables are kept.
type TablesProps struct {
	Key     awskms.IKey
	Removal awscdk.RemovalPolicy
	Retain  bool
}

// Tables are the two of internal/aws, which says what is in them.
type Tables struct {
	Items  awsdynamodb.Table // real-time items and dedup segments
	Ledger awsdynamodb.Table // ledger rows, pointer, plans, loads
}

// NewTables makes the tables, on demand.
func NewTables(scope constructs.Construct, id string, props TablesProps) *Tables {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	table := func(name string, recoverable bool) awsdynamodb.Table {
		text := func(name string) *awsdynamodb.Attribute {
			return &awsdynamodb.Attribute{Name: jsii.String(name), Type: awsdynamodb.AttributeType_STRING}
		}
		return awsdynamodb.NewTable(scope, jsii.String(name), &awsdynamodb.TableProps{
			PartitionKey:       text("pk"),
			SortKey:            text("sk"),
			BillingMode:        awsdynamodb.BillingMode_PAY_PER_REQUEST,
			Encryption:         awsdynamodb.TableEncryption_CUSTOMER_MANAGED,
			EncryptionKey:      props.Key,
			RemovalPolicy:      props.Removal,
			DeletionProtection: jsii.Bool(props.Retain),
			PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
				PointInTimeRecoveryEnabled: jsii.Bool(recoverable),
			},
		})
	}
	return &Tables{Items: table("Items", false), Ledger: table("Ledger", true)}
}
