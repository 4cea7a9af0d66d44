package stack_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/app"
	"github.com/watershed-data/watershed/infra/config"
	"github.com/watershed-data/watershed/infra/stack"
	"github.com/watershed-data/watershed/internal/definition"
)

// One app and one synthesis for all tests: CDK's engine takes seconds to start.
// The stacks differ in what a configuration can choose.
var (
	def  *definition.Definition
	made = map[string]*template{}

	validation report // of all stacks, by CloudFormation's own rules
)

const (
	onDemand = "on demand" // dev.yaml
	safe     = "safe"      // prod.yaml, provisioned, with a topic
	imported = "imported"
)

var configurations = map[string]string{
	onDemand: "removal: destroy",
	safe:     "{stream: {mode: provisioned, shards: 3, retention: 168h}, master: {object_lock: {mode: governance, days: 45}}, alarms: {topic: 'arn:aws:sns:us-east-1:123456789012:pages'}}",
	imported: "{stream: {mode: imported, arn: 'arn:aws:kinesis:us-east-1:123456789012:stream/theirs'}}",
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		defer jsii.Close()
		if err := synthesize(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

func synthesize() error {
	dir, err := os.MkdirTemp("", "watershed-infra-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs := filepath.Join(dir, "functions")
	for _, name := range []string{"transform", "speed"} {
		if err := os.MkdirAll(filepath.Join(programs, name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(programs, name, "bootstrap"), []byte(name), 0o755); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "sales", "pipeline.yaml"))
	if err != nil {
		return err
	}
	cdk := app.NewApp(filepath.Join(dir, "out"))
	stacks := map[string]awscdk.Stack{}
	for name, configuration := range configurations {
		// Every stack is of a pipeline of its own name.
		renamed := strings.Replace(string(text), "pipeline: sales", "pipeline: sales."+strings.ReplaceAll(name, " ", "-"), 1)
		d, err := definition.Parse("pipeline.yaml", []byte(renamed))
		if err != nil {
			return err
		}
		c, err := config.Parse(name, []byte(configuration))
		if err != nil {
			return err
		}
		p, err := stack.NewPipeline(cdk, stack.PipelineProps{Definition: d, Config: c, Functions: programs})
		if err != nil {
			return err
		}
		def, stacks[name] = d, p.Stack
	}
	cdk.Synth(nil)
	out := filepath.Join(dir, "out")
	for name, s := range stacks {
		t := &template{}
		if err := readJSON(filepath.Join(out, *s.TemplateFile()), t); err != nil {
			return err
		}
		notes := map[string][]struct {
			Type string
			Data any
		}{}
		if err := readJSON(filepath.Join(out, strings.Replace(*s.TemplateFile(), ".template.", ".metadata.", 1)), &notes); err != nil {
			return err
		}
		for path, of := range notes {
			for _, n := range of {
				if n.Type == "aws:cdk:error" || n.Type == "aws:cdk:warning" {
					t.findings = append(t.findings, fmt.Sprintf("%s: %v", path, n.Data))
				}
			}
		}
		made[name] = t
	}
	return readJSON(filepath.Join(out, "validation-report.json"), &validation)
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
