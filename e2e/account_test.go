//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/watershed-data/watershed/internal/standin"
)

// The environment variables by which `make e2e` says where programs are.
const (
	commandVariable   = "WATERSHED_TEST_COMMAND"   // the program watershed
	functionsVariable = "WATERSHED_TEST_FUNCTIONS" // folder of the functions' programs, for this machine
	cdkVariable       = "WATERSHED_TEST_CDK"       // the CDK command
	pythonVariable    = "WATERSHED_TEST_PYTHON"    // a Python with boto3 and aws_kinesis_agg
	sparkVariable     = "WATERSHED_TEST_SPARK"     // a venv with PySpark, and its jars
)

// The account of a user who may do everything: the stand-in's root. Its key is this
// test's own, since CDK remembers accounts by key.
const (
	region  = "us-east-1"
	rootKey = "AKIAWATERSHEDE2EROOT"
	secret  = "none"
	number  = "000000000000"
)

// account is an empty account of AWS, in the stand-in, and folders that go with the
// test.
type account struct {
	*recorder
	dir     string
	log     string // file of what the stand-in says
	environ []string

	ctx    context.Context // of everything that is started
	giveUp context.CancelFunc
}

// newAccount starts the stand-in. It verifies the signatures of roles and users, and
// holds every call against the policies of roles, users and buckets: what is not
// allowed fails here as it would on AWS.
func newAccount(t *testing.T) *account {
	t.Helper()
	a := &account{recorder: newRecorder(t), dir: t.TempDir()}
	a.ctx, a.giveUp = context.WithCancel(t.Context())
	t.Cleanup(a.giveUp)
	for _, name := range []string{"home", "tmp"} {
		if err := os.Mkdir(filepath.Join(a.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a.log = filepath.Join(a.dir, "standin.log")
	log, err := os.Create(a.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		log.Close()
		if said, err := os.ReadFile(a.log); t.Failed() && err == nil {
			t.Logf("the stand-in's last words:\n%s", tail(string(said)))
		}
	})
	a.environ = a.environment(t)
	python := filepath.Join(filepath.Dir(needed(t, standin.MinistackVariable)), "python")
	program, err := filepath.Abs("testdata/standin.py")
	if err != nil {
		t.Fatal(err)
	}
	var process *exec.Cmd
	target, stop, err := standin.Start("ministack", func(port string) *exec.Cmd {
		process = exec.Command(python, program)
		// It hands AWS_ENDPOINT_URL on to the functions.
		process.Env = append(slices.Clone(a.environ), "GATEWAY_PORT="+port, "BIND_HOST=127.0.0.1", "MINISTACK_HOST=localhost",
			"LAMBDA_EXECUTOR=local", "ATHENA_ENGINE=duckdb", "AUTH=true", "SFN_WAIT_SCALE=0.2")
		process.Stdout, process.Stderr = log, log
		process.Dir = a.dir
		return process
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the functions end with it if it is asked to end
		_ = process.Process.Signal(syscall.SIGTERM)
		stop()
	})
	a.passTo(t, target)
	return a
}

// environment is what every program is started with: the user's, but for credentials
// and whatever else is of AWS, and with folders of the test's own.
func (a *account) environment(t *testing.T) []string {
	t.Helper()
	out := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	out = append(out,
		"HOME="+filepath.Join(a.dir, "home"), "TMPDIR="+filepath.Join(a.dir, "tmp"),
		"PATH="+filepath.Join(needed(t, sparkVariable), "bin")+":"+os.Getenv("PATH"), // where PySpark finds its Python
		"AWS_ENDPOINT_URL="+a.url, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID="+rootKey, "AWS_SECRET_ACCESS_KEY="+secret,
		"CDK_DISABLE_VERSION_CHECK=1", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=1", "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION=1",
	)
	// The Go command, by which CDK builds the app, keeps these at home.
	names := []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOENV"}
	said, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatalf("asking Go for its folders: %v", err)
	}
	for i, value := range strings.Split(strings.TrimSuffix(string(said), "\n"), "\n") {
		out = append(out, names[i]+"="+value)
	}
	return out
}

// needed is where `make e2e` says that a program is.
func needed(t *testing.T, variable string) string {
	t.Helper()
	at := os.Getenv(variable)
	if at == "" {
		t.Fatalf("%s is not set; `make e2e` builds and fetches everything, and says where it is", variable)
	}
	return at
}

// config is that of the account's user.
func (a *account) config() aws.Config {
	return aws.Config{Region: region, BaseEndpoint: &a.url, Credentials: credentials.NewStaticCredentialsProvider(rootKey, secret, "")}
}

// command is a program in the account's environment, in the repository's root.
func (a *account) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(a.ctx, name, args...)
	cmd.Env = slices.Clone(a.environ)
	cmd.Dir = ".."
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// must runs a program to its end and gives what it wrote on stdout.
func must(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	out, err := try(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// try is must for a program that may fail.
func try(t *testing.T, cmd *exec.Cmd) ([]byte, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	err := cmd.Run()
	short := strings.Join(append([]string{filepath.Base(cmd.Path)}, cmd.Args[1:min(len(cmd.Args), 5)]...), " ")
	short, _, _ = strings.Cut(short, "\n")
	t.Logf("%s: %s", short, time.Since(begun).Round(10*time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", short, err, tail(stdout.String()), tail(stderr.String()))
	}
	return stdout.Bytes(), nil
}

func tail(text string) string { return text[max(0, len(text)-6000):] }

// until asks again until the answer is yes, for so long at most. Each no says what
// is missing, and each error ends the test.
func until(t *testing.T, what string, most time.Duration, ask func() (missing string, err error)) {
	t.Helper()
	begun := time.Now()
	limit := time.After(most)
	for {
		missing, err := ask()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if missing == "" {
			t.Logf("%s: %s", what, time.Since(begun).Round(10*time.Millisecond))
			return
		}
		select {
		case <-limit:
			t.Fatalf("%s: not in %s: %s", what, most, missing)
		case <-t.Context().Done():
			t.Fatal(errors.Join(errors.New(what), t.Context().Err()))
		case <-time.After(200 * time.Millisecond):
		}
	}
}
