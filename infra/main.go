// Command infra is the CDK app: `cdk deploy -c pipeline=FILE -c config=FILE`.
package main

import (
	"fmt"
	"os"

	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/app"
)

func main() {
	defer jsii.Close()
	if err := app.Synth(os.Getenv("CDK_CONTEXT_JSON")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		jsii.Close()
		os.Exit(1)
	}
}
