// Package standin starts what stands in for AWS in tests: programs of others, on
// free ports of 127.0.0.1, which end with the process that started them.
package standin

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// The environment variables that say where `make standins` put the programs.
const (
	DynamoDBVariable  = "WATERSHED_TEST_DYNAMODB"  // folder with DynamoDB Local and its libraries
	MinistackVariable = "WATERSHED_TEST_MINISTACK" // the program ministack
	KinesisVariable   = "WATERSHED_TEST_KINESIS"   // folder into which npm put kinesis-local
)

// DynamoDB starts DynamoDB Local and gives its URL.
func DynamoDB() (url string, stop func(), err error) {
	jars, err := where(DynamoDBVariable)
	if err != nil {
		return "", nil, err
	}
	return Start("DynamoDB Local", func(port string) *exec.Cmd {
		return exec.Command("java", "-Xmx512m", "-Djava.library.path="+jars, "-cp", filepath.Join(jars, "*"),
			"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-sharedDb", "-disableTelemetry", "-port", port)
	})
}

// Ministack starts ministack, with more of its environment than where it listens,
// and gives its URL.
func Ministack(environment ...string) (url string, stop func(), err error) {
	program, err := where(MinistackVariable)
	if err != nil {
		return "", nil, err
	}
	return Start("ministack", func(port string) *exec.Cmd {
		cmd := exec.Command(program)
		cmd.Env = append(append(os.Environ(), "GATEWAY_PORT="+port, "BIND_HOST=127.0.0.1", "MINISTACK_HOST=localhost"), environment...)
		return cmd
	})
}

// Kinesis starts kinesis-local and gives its URL. Beside it, it listens with TLS.
func Kinesis() (url string, stop func(), err error) {
	folder, err := where(KinesisVariable)
	if err != nil {
		return "", nil, err
	}
	tls, err := FreePort()
	if err != nil {
		return "", nil, err
	}
	return Start("kinesis-local", func(port string) *exec.Cmd {
		cmd := exec.Command("node", "main.js")
		cmd.Dir = filepath.Join(folder, "node_modules", "kinesis-local") // where it finds its certificate
		cmd.Env = append(os.Environ(), "KINESIS_MOCK_PLAIN_PORT="+port, "KINESIS_MOCK_TLS_PORT="+tls, "LOG_LEVEL=ERROR",
			// How long it takes to do what AWS takes minutes for.
			"CREATE_STREAM_DURATION=1ms", "SPLIT_SHARD_DURATION=1ms", "MERGE_SHARDS_DURATION=1ms")
		return cmd
	})
}

func where(variable string) (string, error) {
	if at := os.Getenv(variable); at != "" {
		return at, nil
	}
	return "", fmt.Errorf("%s is not set; `make test` fetches the stand-ins for AWS and says where they are", variable)
}

// Needed is a stand-in that the tests of a package need.
type Needed struct {
	URL   *string // where its URL is put
	Start func() (url string, stop func(), err error)
}

// Main runs the tests of a package while its stand-ins are up, which are started in
// the order given, and gives the code to exit with.
func Main(run func() int, needed ...Needed) int {
	for _, n := range needed {
		url, stop, err := n.Start()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer stop()
		*n.URL = url
	}
	return run()
}

// Start starts a program and waits until it answers HTTP on the port that it was
// given. It ends with this process at the latest.
func Start(name string, command func(port string) *exec.Cmd) (url string, stop func(), err error) {
	port, err := FreePort()
	if err != nil {
		return "", nil, err
	}
	cmd := command(port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if cmd.Dir == "" {
		cmd.Dir = os.TempDir()
	}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("starting %s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	url = "http://127.0.0.1:" + port
	limit := time.After(2 * time.Minute)
	for {
		if reply, err := http.Get(url); err == nil {
			return url, stop, reply.Body.Close()
		}
		select {
		case err := <-ended:
			return "", nil, fmt.Errorf("starting %s: it ended: %w", name, err)
		case <-limit:
			stop()
			return "", nil, fmt.Errorf("starting %s: it does not answer", name)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// FreePort gives a port of 127.0.0.1 that is free now.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// Config is that of an account of the stand-in at an endpoint.
func Config(endpoint string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")}
}
