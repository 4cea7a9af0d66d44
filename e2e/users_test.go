//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/watershed-data/watershed/internal/deployment"
)

// Whoever works with the pipeline is a user with the rights that the documentation
// names and no other: the stand-in verifies the signatures of users, not of the
// account's root. With a policy of the stack's, or with one written out.
const (
	hire = `
import boto3, json, sys
name, policy = sys.argv[1:]
iam = boto3.client("iam")
iam.create_user(UserName=name)
if policy.startswith("arn:"):
    iam.attach_user_policy(UserName=name, PolicyArn=policy)
else:
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
print(json.dumps(iam.create_access_key(UserName=name)["AccessKey"], default=str))
`
	dismiss = `
import boto3, sys
boto3.client("iam").detach_user_policy(UserName=sys.argv[1], PolicyArn=sys.argv[2])
`
)

// hire makes a user and gives its access key.
func (s *stack) hire(t *testing.T, name, policy string) aws.Credentials {
	t.Helper()
	var key struct{ AccessKeyId, SecretAccessKey string }
	if err := json.Unmarshal(must(t, s.command(needed(t, pythonVariable), "-c", hire, name, policy)), &key); err != nil {
		t.Fatal(err)
	}
	return aws.Credentials{AccessKeyID: key.AccessKeyId, SecretAccessKey: key.SecretAccessKey}
}

// dismiss takes the stack's policy from the engine: a stack whose policy somebody has
// cannot be deleted.
func (s *stack) dismiss(t *testing.T) {
	t.Helper()
	must(t, s.command(needed(t, pythonVariable), "-c", dismiss, "engine", s.outputs[deployment.EnginePolicyOutput]))
}

// asks is the policy of who asks the API and sends events, as docs/security.md has it.
func (s *stack) asks(t *testing.T) string {
	t.Helper()
	endpoint, err := url.Parse(s.outputs[deployment.EndpointOutput])
	if err != nil {
		t.Fatal(err)
	}
	api, _, _ := strings.Cut(endpoint.Host, ".")
	return fmt.Sprintf(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:%[1]s:%[2]s:%[3]s/$default/*"},
		{"Effect": "Allow", "Action": "kinesis:PutRecords", "Resource": "arn:aws:kinesis:%[1]s:%[2]s:stream/%[4]s"},
		{"Effect": "Allow", "Action": "cloudformation:DescribeStacks", "Resource": "arn:aws:cloudformation:%[1]s:%[2]s:stack/%[5]s/*"}]}`,
		region, number, api, s.outputs[deployment.StreamOutput], s.name)
}
