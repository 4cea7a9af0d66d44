package stack_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/app"
)

// A test that the templates pass is worth something only if others do not: here a
// value that CloudFormation does not have.
func TestAValueThatCloudFormationDoesNotHaveIsFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	bad := app.NewApp(dir)
	s := awscdk.NewStack(bad, jsii.String("bad"), nil)
	awsdynamodb.NewCfnTable(s, jsii.String("Table"), &awsdynamodb.CfnTableProps{
		BillingMode:          jsii.String("PAY_PER_WISH"),
		KeySchema:            &[]*awsdynamodb.CfnTable_KeySchemaProperty{{AttributeName: jsii.String("pk"), KeyType: jsii.String("HASH")}},
		AttributeDefinitions: &[]*awsdynamodb.CfnTable_AttributeDefinitionProperty{{AttributeName: jsii.String("pk"), AttributeType: jsii.String("S")}},
	})
	bad.Synth(nil)
	var said report
	if err := readJSON(filepath.Join(dir, "validation-report.json"), &said); err != nil {
		t.Fatalf("CDK has not validated the template: %v", err)
	}
	if text := fmt.Sprint(said); !strings.Contains(text, "'PAY_PER_WISH' is not one of") {
		t.Errorf("nobody has found the wrong billing mode: %s", text)
	}
}
