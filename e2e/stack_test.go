//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"github.com/watershed-data/watershed/internal/definition"
)

// stack is a deployed pipeline.
type stack struct {
	*account
	definition *definition.Definition
	name       string
	outputs    map[string]string
	context    []string        // what every command of CDK is given
	user       aws.Credentials // who asks and sends
}

// deploy bootstraps the account and deploys the pipeline, as docs/deploy.md says.
func (a *account) deploy(t *testing.T, pipeline, config string) *stack {
	t.Helper()
	s := &stack{account: a, name: "watershed-sales", outputs: map[string]string{}}
	def, err := definition.Load(filepath.Join("..", pipeline))
	if err != nil {
		t.Fatal(err)
	}
	s.definition = def
	s.context = []string{"-c", "pipeline=" + pipeline, "-c", "config=" + a.forThisMachine(t, config), "-c", "functions=" + needed(t, functionsVariable)}
	// Without an app: bootstrapping is of the account, and needs no pipeline.
	must(t, s.command(needed(t, cdkVariable), "bootstrap", "--app", "", "aws://"+number+"/"+region))
	outputs := filepath.Join(a.dir, "outputs.json")
	s.cdk(t, "deploy", "--require-approval", "never", "--progress", "events", "--outputs-file", outputs)
	text, err := os.ReadFile(outputs)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatalf("reading the stack's outputs: %v", err)
	}
	s.outputs = all[s.name]
	s.user = s.hire(t, "user", s.asks(t))
	return s
}

// as gives a program the credentials of the pipeline's user.
func (s *stack) as(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID="+s.user.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+s.user.SecretAccessKey)
	return cmd
}

// watershed is the product's command. It finds the API, whose host name no resolver
// knows, by way of the recorder.
func (s *stack) watershed(t *testing.T, args ...string) *exec.Cmd {
	cmd := s.as(s.command(needed(t, commandVariable), args...))
	cmd.Env = append(cmd.Env, "HTTP_PROXY="+s.url, "NO_PROXY=127.0.0.1")
	return cmd
}

// forThisMachine adds to a configuration for which processor the functions are built:
// the stand-in runs them here.
func (a *account) forThisMachine(t *testing.T, config string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", config))
	if err != nil {
		t.Fatal(err)
	}
	architecture := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	path := filepath.Join(a.dir, "config.yaml")
	if err := os.WriteFile(path, fmt.Appendf(text, "functions: {architecture: %s}\n", architecture), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// cdk runs a command of CDK on the pipeline's app.
func (s *stack) cdk(t *testing.T, command string, args ...string) {
	t.Helper()
	args = append([]string{command, "--output", filepath.Join(s.dir, "cdk.out")}, args...)
	must(t, s.command(needed(t, cdkVariable), append(args, s.context...)...))
}

// resources gives the stack's resources: logical to physical names, by type.
func (s *stack) resources(t *testing.T) map[string]map[string]string {
	t.Helper()
	client := cloudformation.NewFromConfig(s.config())
	out := map[string]map[string]string{}
	pages := cloudformation.NewListStackResourcesPaginator(client, &cloudformation.ListStackResourcesInput{StackName: &s.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatalf("listing the stack's resources: %v", err)
		}
		for _, r := range page.StackResourceSummaries {
			if out[*r.ResourceType] == nil {
				out[*r.ResourceType] = map[string]string{}
			}
			out[*r.ResourceType][*r.LogicalResourceId] = *r.PhysicalResourceId
		}
	}
	return out
}
