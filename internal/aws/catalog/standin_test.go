//go:build clients

package catalog_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/watershed-data/watershed/internal/standin"
)

// The URLs of the stand-ins: ministack for Glue and S3, and Trino, which reads both.
var ministack, trino string

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
	at, stop, err := standin.Ministack()
	if err != nil {
		return 1, err
	}
	defer stop()
	ministack = at
	at, stop, err = standin.Trino(ministack)
	if err != nil {
		return 1, err
	}
	defer stop()
	trino = at
	return run(), nil
}
