//go:build clients

package aws_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/watershed-data/watershed/internal/aws"
)

// The URLs of the stand-ins: DynamoDB Local, which knows best what DynamoDB does,
// and ministack for S3.
var dynamo, ministack string

func TestMain(m *testing.M) {
	code, err := withStandIns(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withStandIns runs the tests while the stand-ins are up.
func withStandIns(run func() int) (code int, err error) {
	jars, program := os.Getenv("WATERSHED_TEST_DYNAMODB"), os.Getenv("WATERSHED_TEST_MINISTACK")
	if jars == "" || program == "" {
		return 1, errors.New("WATERSHED_TEST_DYNAMODB has to name a folder with DynamoDB Local and its libraries, and WATERSHED_TEST_MINISTACK the program ministack; make test does both")
	}
	var stops []func()
	defer func() {
		for _, stop := range stops {
			stop()
		}
	}()
	for _, s := range []struct {
		url     *string
		command func(port string) *exec.Cmd
	}{
		{&dynamo, func(port string) *exec.Cmd {
			return exec.Command("java", "-Xmx512m", "-Djava.library.path="+jars, "-cp", filepath.Join(jars, "*"),
				"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-sharedDb", "-disableTelemetry", "-port", port)
		}},
		{&ministack, func(port string) *exec.Cmd {
			cmd := exec.Command(program)
			cmd.Env = append(os.Environ(), "GATEWAY_PORT="+port, "BIND_HOST=127.0.0.1", "MINISTACK_HOST=localhost")
			return cmd
		}},
	} {
		port, err := freePort()
		if err != nil {
			return 1, err
		}
		cmd := s.command(port)
		stop, err := start(cmd, port)
		if err != nil {
			return 1, fmt.Errorf("starting %s: %w", cmd.Path, err)
		}
		stops = append(stops, stop)
		*s.url = "http://127.0.0.1:" + port
	}
	return run(), nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// start starts a stand-in and waits until it answers on its port.
func start(cmd *exec.Cmd, port string) (stop func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Dir = os.TempDir()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	limit := time.After(2 * time.Minute)
	for {
		if reply, err := http.Get("http://127.0.0.1:" + port); err == nil {
			return stop, reply.Body.Close()
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("it ended: %w", err)
		case <-limit:
			stop()
			return nil, errors.New("it does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// config is that of an account of the stand-in at an endpoint.
func config(endpoint string) sdk.Config {
	return sdk.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")}
}

// tables makes both tables and gives the options that name them.
func tables(t *testing.T) aws.Options {
	t.Helper()
	return tablesAt(t, dynamo)
}

func tablesAt(t *testing.T, endpoint string) aws.Options {
	t.Helper()
	o := aws.Options{Items: "items-" + rand.Text(), Ledger: "ledger-" + rand.Text(), Bucket: "none"}
	client := dynamodb.NewFromConfig(config(endpoint))
	for _, name := range []string{o.Items, o.Ledger} {
		_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
			TableName: &name, BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{
				{AttributeName: sdk.String("pk"), AttributeType: types.ScalarAttributeTypeS},
				{AttributeName: sdk.String("sk"), AttributeType: types.ScalarAttributeTypeS},
			},
			KeySchema: []types.KeySchemaElement{
				{AttributeName: sdk.String("pk"), KeyType: types.KeyTypeHash},
				{AttributeName: sdk.String("sk"), KeyType: types.KeyTypeRange},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_, _ = client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: &name})
		})
	}
	return o
}

// newBucket makes a bucket and gives its name.
func newBucket(t *testing.T) string {
	t.Helper()
	name := "b-" + strings.ToLower(rand.Text())
	client := s3.NewFromConfig(config(ministack), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return name
}
