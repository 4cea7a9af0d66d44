//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// destroy takes the stack down, as docs/deploy.md says, and fails if anything is
// left but what bootstrapping made.
func (s *stack) destroy(t *testing.T) {
	t.Helper()
	for _, bucket := range s.resources(t)["AWS::S3::Bucket"] {
		s.empty(t, bucket)
	}
	s.cdk(t, "destroy", "--force")
	if left := s.left(t); len(left) > 0 {
		t.Errorf("destroying the stack left %s", strings.Join(left, ", "))
	}
}

// empty deletes every version of every object of a bucket.
func (s *stack) empty(t *testing.T, bucket string) {
	t.Helper()
	client := s.s3()
	pages := s3.NewListObjectVersionsPaginator(client, &s3.ListObjectVersionsInput{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatalf("emptying bucket %s: %v", bucket, err)
		}
		var all []s3types.ObjectIdentifier
		for _, v := range page.Versions {
			all = append(all, s3types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			all = append(all, s3types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		if len(all) == 0 {
			continue
		}
		done, err := client.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &s3types.Delete{Objects: all}})
		if err != nil {
			t.Fatalf("emptying bucket %s: %v", bucket, err)
		}
		for _, failed := range done.Errors {
			t.Fatalf("emptying bucket %s: %s: %s", bucket, *failed.Key, *failed.Message)
		}
	}
}

// left lists what is in the account besides what bootstrapping made.
func (s *stack) left(t *testing.T) []string {
	t.Helper()
	var left []string
	note := func(kind, name string) {
		if !strings.HasPrefix(name, "cdk-") && name != "CDKToolkit" {
			left = append(left, kind+" "+name)
		}
	}
	config := s.config()
	buckets, err := s.s3().ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range buckets.Buckets {
		note("bucket", *b.Name)
	}
	tables, err := dynamodb.NewFromConfig(config).ListTables(t.Context(), &dynamodb.ListTablesInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range tables.TableNames {
		note("table", name)
	}
	streams, err := kinesis.NewFromConfig(config).ListStreams(t.Context(), &kinesis.ListStreamsInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range streams.StreamNames {
		note("stream", name)
	}
	stacks, err := cloudformation.NewFromConfig(config).DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{})
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range stacks.Stacks {
		note("stack", *found.StackName)
	}
	slices.Sort(left)
	return left
}

// text is the text that an attribute holds.
func text(a types.AttributeValue) string {
	if s, ok := a.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}
