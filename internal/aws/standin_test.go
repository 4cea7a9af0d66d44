//go:build clients

package aws_test

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/watershed-data/watershed/internal/aws"
	"github.com/watershed-data/watershed/internal/aws/awstest"
	"github.com/watershed-data/watershed/internal/standin"
)

// The URLs of the stand-ins: DynamoDB Local, which knows best what DynamoDB does,
// and ministack for S3.
var dynamo, ministack string

func TestMain(m *testing.M) {
	os.Exit(standin.Main(m.Run,
		standin.Needed{URL: &dynamo, Start: standin.DynamoDB},
		standin.Needed{URL: &ministack, Start: func() (string, func(), error) { return standin.Ministack() }},
	))
}

// tables makes both tables and gives the options that name them.
func tables(t *testing.T) aws.Options {
	t.Helper()
	return tablesAt(t, dynamo)
}

func tablesAt(t *testing.T, endpoint string) aws.Options {
	t.Helper()
	o := aws.Options{Items: "items-" + rand.Text(), Ledger: "ledger-" + rand.Text(), Master: "none", Views: "none"}
	awstest.MakeTables(t, standin.Config(endpoint), o.Items, o.Ledger)
	return o
}

// inNewBucket gives the options of stores that have one new bucket for all, and no
// tables.
func inNewBucket(t *testing.T) aws.Options {
	t.Helper()
	in := newBucket(t)
	return aws.Options{Items: "none", Ledger: "none", Master: in, Views: in, PathStyle: true}
}

// newBucket makes a bucket and gives its name.
func newBucket(t *testing.T) string {
	t.Helper()
	name := "b-" + strings.ToLower(rand.Text())
	client := s3.NewFromConfig(standin.Config(ministack), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return name
}
