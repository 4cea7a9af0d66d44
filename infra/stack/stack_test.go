package stack_test

import (
	"debug/elf"
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
	"github.com/watershed-data/watershed/infra/internal/program"
	"github.com/watershed-data/watershed/infra/stack"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/deployment/access"
)

// One app and one synthesis for all tests: CDK's engine takes seconds to start.
// The stacks differ in what a configuration can choose.
var (
	def  *definition.Definition
	made = map[string]*template{}
	// changed is the one on demand with a definition that makes other rows.
	changed *template

	validation report // of all stacks, by CloudFormation's own rules
)

const (
	onDemand = "on demand" // dev.yaml
	safe     = "safe"      // prod.yaml, provisioned, with a topic
	imported = "imported"
)

var configurations = map[string]string{
	onDemand: "removal: destroy",
	safe:     "{stream: {mode: provisioned, shards: 3, retention: 168h}, master: {object_lock: {mode: governance, days: 45}}, batch: {engine: emr, timeout: 3h, emr: {cores: 5}}, alarms: {topic: 'arn:aws:sns:us-east-1:123456789012:pages', rejects: 12}, api: {rate: 7, burst: 9}, crawler: {schedule: 'cron(0 6 * * ? *)'}}",
	imported: "{stream: {mode: imported, arn: 'arn:aws:kinesis:us-east-1:123456789012:stream/theirs'}, batch: {engine: external}, functions: {architecture: x86_64}, crawler: {schedule: off}}",
}

// schedules are what the definitions say of batch runs.
var schedules = map[string]string{onDemand: "batch: {every: 15m}\n", safe: "batch: continuous\n", imported: "batch: {every: 2h}\n"}

// endpoints are of stand-ins, in the place of AWS.
var endpoints = map[string]string{imported: "http://127.0.0.1:4566"}

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
	programs := func(a config.Architecture) string { return filepath.Join(dir, string(a)) }
	for a, machine := range map[config.Architecture]elf.Machine{config.ARM64: elf.EM_AARCH64, config.X86: elf.EM_X86_64} {
		if err := program.Write(programs(a), machine, append(access.Functions(), access.Check)...); err != nil {
			return err
		}
	}
	driver := filepath.Join(dir, "batch.py")
	if err := os.WriteFile(driver, []byte("# Spark"), 0o644); err != nil {
		return err
	}
	file := filepath.Join("..", "..", "examples", "sales", "pipeline.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	cdk := app.NewApp(filepath.Join(dir, "out"))
	stacks := map[string]awscdk.Stack{}
	add := func(name, text, schedule, configuration, endpoint string) error {
		// Every stack is of a pipeline of its own name.
		renamed := strings.Replace(text, "pipeline: sales", "pipeline: sales."+strings.ReplaceAll(name, " ", "-"), 1)
		d, err := definition.Parse(file, []byte(renamed+schedule))
		if err != nil {
			return err
		}
		c, err := config.Parse(name, []byte(configuration))
		if err != nil {
			return err
		}
		p, err := stack.NewPipeline(cdk, stack.PipelineProps{Definition: d, Config: c, Functions: programs(c.Functions.Architecture), Driver: driver, Endpoint: endpoint})
		if err != nil {
			return err
		}
		def, stacks[name] = d, p.Stack
		return nil
	}
	const another = "another definition"
	if err := add(another, strings.Replace(string(text), "price >= 0", "price > 0", 1), schedules[onDemand], configurations[onDemand], ""); err != nil {
		return err
	}
	for name, configuration := range configurations {
		if err := add(name, string(text), schedules[name], configuration, endpoints[name]); err != nil {
			return err
		}
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
	changed = made[another]
	delete(made, another)
	return readJSON(filepath.Join(out, "validation-report.json"), &validation)
}

func readJSON(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
