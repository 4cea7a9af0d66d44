//go:build e2e

package e2e

import (
	"encoding/json"
	"testing"

	"github.com/watershed-data/watershed/internal/deployment"
)

// The engine is a user of its own, who has the stack's policy for engines and
// nothing else: what Spark asks for and the policy does not grant fails here.
const (
	hire = `
import boto3, json, sys
iam = boto3.client("iam")
iam.create_user(UserName="engine")
iam.attach_user_policy(UserName="engine", PolicyArn=sys.argv[1])
print(json.dumps(iam.create_access_key(UserName="engine")["AccessKey"], default=str))
`
	dismiss = `
import boto3, sys
iam = boto3.client("iam")
iam.detach_user_policy(UserName="engine", PolicyArn=sys.argv[1])
for k in iam.list_access_keys(UserName="engine")["AccessKeyMetadata"]:
    iam.delete_access_key(UserName="engine", AccessKeyId=k["AccessKeyId"])
iam.delete_user(UserName="engine")
`
)

// hire makes the engine's user and gives its access key.
func (s *stack) hire(t *testing.T) (id, secret string) {
	t.Helper()
	var key struct{ AccessKeyId, SecretAccessKey string }
	if err := json.Unmarshal(must(t, s.command(needed(t, pythonVariable), "-c", hire, s.outputs[deployment.EnginePolicyOutput])), &key); err != nil {
		t.Fatal(err)
	}
	return key.AccessKeyId, key.SecretAccessKey
}

// dismiss deletes the engine's user: a stack whose policy somebody has cannot be
// deleted.
func (s *stack) dismiss(t *testing.T) {
	t.Helper()
	must(t, s.command(needed(t, pythonVariable), "-c", dismiss, s.outputs[deployment.EnginePolicyOutput]))
}
