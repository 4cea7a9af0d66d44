// Package app reads what `cdk` was asked for, checks all of it, and only then
// starts CDK.
package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	"github.com/watershed-data/watershed/infra/config"
	"github.com/watershed-data/watershed/infra/stack"
	"github.com/watershed-data/watershed/internal/definition"
)

// request is the context that the CDK command passes on.
type request struct {
	Pipeline  string `json:"pipeline"`  // the definition's file
	Config    string `json:"config"`    // the configuration's file
	Functions string `json:"functions"` // folder of the functions' programs
	Driver    string `json:"driver"`    // the file of the program for Spark
	Endpoint  string `json:"endpoint"`  // of a stand-in for AWS
}

// Props reads and checks everything that the context names.
func Props(context string) (stack.PipelineProps, error) {
	r := request{Functions: "bin/functions", Driver: "glue/batch.py"}
	if context != "" {
		if err := json.Unmarshal([]byte(context), &r); err != nil {
			return stack.PipelineProps{}, fmt.Errorf("reading the context of cdk: %w", err)
		}
	}
	if r.Pipeline == "" || r.Config == "" {
		return stack.PipelineProps{}, errors.New("the app needs -c pipeline=FILE, a definition, and -c config=FILE, a configuration such as infra/config/dev.yaml")
	}
	def, defErr := definition.Load(r.Pipeline)
	chosen, configErr := config.Load(r.Config)
	if err := errors.Join(defErr, configErr, checkEndpoint(r.Endpoint)); err != nil {
		return stack.PipelineProps{}, err
	}
	props := stack.PipelineProps{Definition: def, Config: chosen, Functions: r.Functions, Driver: r.Driver, Endpoint: r.Endpoint}
	return props, props.Check()
}

// checkEndpoint takes the address of a stand-in, or none.
func checkEndpoint(endpoint string) error {
	at, err := url.Parse(endpoint)
	if endpoint == "" || err == nil && (at.Scheme == "http" || at.Scheme == "https") && at.Host != "" {
		return nil
	}
	return fmt.Errorf("-c endpoint cannot be %q; write the URL of a stand-in for AWS, such as http://127.0.0.1:4566, or leave it out", endpoint)
}

// flags are how CDK behaves, whatever the folder's cdk.json says: a template
// depends on the definition, the configuration and the programs alone.
var flags = map[string]any{
	"@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": true, // no ACL on any bucket
	"@aws-cdk/core:target-partitions":                 []string{"aws"},
	"@aws-cdk/aws-iam:minimizePolicies":               true,
	"aws:cdk:enable-path-metadata":                    false,
	"aws:cdk:enable-asset-metadata":                   false,
}

// NewApp makes an app that checks its stacks against the rules of AWS Solutions;
// outdir "" leaves the folder to the command.
func NewApp(outdir string) awscdk.App {
	props := &awscdk.AppProps{PostCliContext: &flags, AnalyticsReporting: jsii.Bool(false)}
	if outdir != "" {
		props.Outdir = jsii.String(outdir)
	}
	app := awscdk.NewApp(props)
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Reports: jsii.Bool(false)}), nil)
	return app
}

// Synth makes the templates of the pipeline that the context names.
func Synth(context string) error {
	props, err := Props(context)
	if err != nil {
		return err
	}
	app := NewApp("")
	if _, err := stack.NewPipeline(app, props); err != nil {
		return err
	}
	app.Synth(nil)
	return nil
}
