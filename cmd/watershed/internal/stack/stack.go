// Package stack finds a pipeline that was deployed to AWS by the name of its stack, and
// signs what is asked of its API. It knows the outputs of stacks, and nothing of the
// API.
package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/smithy-go"

	"github.com/watershed-data/watershed/internal/deployment"
)

// Stack is a pipeline on AWS.
type Stack struct {
	Name     string
	Account  aws.Config // with credentials and a region
	Endpoint *url.URL   // of the API
	Stream   string     // name
}

// findTimeout bounds what finding a stack takes: where there are no credentials, the
// SDK looks for those of a machine at AWS.
const findTimeout = 30 * time.Second

// Find asks CloudFormation for a stack's outputs, with the credentials and the region
// of the AWS command line: environment, profile, or the machine's role.
func Find(ctx context.Context, name string) (*Stack, error) {
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	account, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the configuration of AWS: %w", err)
	}
	if account.Region == "" {
		return nil, errors.New("no AWS region is chosen; set AWS_REGION, or AWS_PROFILE to a profile that has one")
	}
	if _, err := account.Credentials.Retrieve(ctx); err != nil {
		return nil, noCredentials(ctx, err)
	}
	out, err := cloudformation.NewFromConfig(account).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if err != nil {
		return nil, explain(name, account.Region, err)
	}
	if len(out.Stacks) != 1 {
		return nil, fmt.Errorf("there is no stack %s in %s", name, account.Region)
	}
	outputs := map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	s := &Stack{Name: name, Account: account, Stream: outputs[deployment.StreamOutput]}
	for _, needed := range []string{deployment.EndpointOutput, deployment.StreamOutput} {
		if outputs[needed] == "" {
			return nil, fmt.Errorf("stack %s has no output %s (its status is %s); name the stack of a Watershed pipeline, and deploy it with this release if it is one",
				name, needed, strings.ToLower(string(out.Stacks[0].StackStatus)))
		}
	}
	if s.Endpoint, err = url.Parse(strings.TrimSuffix(outputs[deployment.EndpointOutput], "/")); err != nil || s.Endpoint.Host == "" {
		return nil, fmt.Errorf("the output %s of stack %s is %q, which is no URL", deployment.EndpointOutput, name, outputs[deployment.EndpointOutput])
	}
	return s, nil
}

func noCredentials(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return fmt.Errorf("no AWS credentials were found; sign in (`aws sso login`, `aws configure`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID: %w", err)
}

// explain says what to do about a stack that cannot be asked for.
func explain(name, region string, err error) error {
	var refused smithy.APIError
	if !errors.As(err, &refused) {
		return fmt.Errorf("asking for stack %s: %w", name, err)
	}
	switch refused.ErrorCode() {
	case "ValidationError":
		if strings.Contains(refused.ErrorMessage(), "does not exist") {
			return fmt.Errorf("there is no stack %s in %s; `aws cloudformation list-stacks` lists them, and AWS_REGION chooses another region", name, region)
		}
	case "AccessDenied", "AccessDeniedException":
		return fmt.Errorf("asking for stack %s: these credentials may not; they need cloudformation:DescribeStacks on it: %s", name, refused.ErrorMessage())
	case "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "SignatureDoesNotMatch":
		return fmt.Errorf("asking for stack %s: AWS does not accept the credentials (%s); sign in again", name, refused.ErrorMessage())
	}
	return fmt.Errorf("asking for stack %s: %s: %s", name, refused.ErrorCode(), refused.ErrorMessage())
}
