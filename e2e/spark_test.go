//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/watershed-data/watershed/internal/deployment"
)

// engine computes the jobs of batch runs with Spark, as whoever chooses the batch
// engine `external` does: it looks for jobs without a result.
type engine struct {
	*stack
	venv    string // with PySpark
	user    aws.Credentials
	started map[string]bool
	stop    func() // ends it
}

// isJob tells jobs from what else is kept of a run.
var isJob = regexp.MustCompile(`^jobs/[^/]+/[^/]+/[0-9]+\.json$`)

// compute starts an engine that ends with the test, or when it is stopped. What it
// cannot do ends the test.
func (s *stack) compute(t *testing.T) *engine {
	t.Helper()
	e := &engine{stack: s, venv: needed(t, sparkVariable), started: map[string]bool{}}
	e.user = s.hire(t, "engine", s.outputs[deployment.EnginePolicyOutput])
	ctx, cancel := context.WithCancel(s.ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := e.work(ctx, t); err != nil && ctx.Err() == nil {
			t.Errorf("the engine: %v", err)
			s.giveUp()
		}
	})
	e.stop = func() { cancel(); running.Wait() }
	t.Cleanup(e.stop)
	return e
}

func (e *engine) work(ctx context.Context, t *testing.T) error {
	for {
		objects, err := e.objects(ctx, deployment.ArtifactsOutput, "jobs/")
		if err != nil {
			return fmt.Errorf("looking for jobs: %w", err)
		}
		for _, key := range objects {
			if !isJob.MatchString(key) || e.started[key] {
				continue
			}
			e.started[key] = true
			if _, err := try(t, e.command(e.spark("spark-submit"), e.submit(key)...)); err != nil {
				return fmt.Errorf("computing %s: %w", key, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// submit is what `spark-submit` is told. On Glue and EMR, S3 and its credentials are
// there already.
func (e *engine) submit(job string) []string {
	settings := map[string]string{
		"spark.ui.enabled":                           "false",
		"spark.driver.host":                          "127.0.0.1",
		"spark.driver.bindAddress":                   "127.0.0.1",
		"spark.sql.shuffle.partitions":               "2",
		"spark.sql.warehouse.dir":                    filepath.Join(e.dir, "warehouse"),
		"spark.local.dir":                            filepath.Join(e.dir, "tmp"),
		"spark.driver.extraJavaOptions":              "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir=" + filepath.Join(e.dir, "tmp") + " -Dderby.system.home=" + e.dir,
		"spark.hadoop.fs.s3.impl":                    "org.apache.hadoop.fs.s3a.S3AFileSystem",
		"spark.hadoop.fs.s3a.endpoint":               e.url,
		"spark.hadoop.fs.s3a.endpoint.region":        region,
		"spark.hadoop.fs.s3a.path.style.access":      "true",
		"spark.hadoop.fs.s3a.access.key":             e.user.AccessKeyID,
		"spark.hadoop.fs.s3a.secret.key":             e.user.SecretAccessKey,
		"spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
		"spark.pyspark.python":                       e.spark("python"),
	}
	args := []string{"--master", "local[2]", "--driver-memory", "1g", "--driver-class-path", filepath.Join(e.venv, "jars", "*")}
	for name, value := range settings {
		args = append(args, "--conf", name+"="+value)
	}
	return append(args, "glue/batch.py", "--job", "s3://"+e.outputs[deployment.ArtifactsOutput]+"/"+job)
}

// spark is a program of the venv with PySpark.
func (e *engine) spark(name string) string { return filepath.Join(e.venv, "bin", name) }

// objects lists a bucket's objects under a prefix, by the output that names it.
func (s *stack) objects(ctx context.Context, bucket, prefix string) ([]string, error) {
	name := s.outputs[bucket]
	var keys []string
	pages := s3.NewListObjectsV2Paginator(s.s3(), &s3.ListObjectsV2Input{Bucket: &name, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return keys, nil
}

func (s *stack) s3() *s3.Client {
	return s3.NewFromConfig(s.config(), func(o *s3.Options) { o.UsePathStyle = true })
}
