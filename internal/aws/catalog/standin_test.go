//go:build clients

package catalog_test

import (
	"os"
	"testing"

	"github.com/watershed-data/watershed/internal/standin"
)

// The URLs of the stand-ins: ministack for Glue and S3, and Trino, which reads both.
var ministack, trino string

func TestMain(m *testing.M) {
	os.Exit(standin.Main(m.Run,
		standin.Needed{URL: &ministack, Start: func() (string, func(), error) { return standin.Ministack() }},
		standin.Needed{URL: &trino, Start: func() (string, func(), error) { return standin.Trino(ministack) }},
	))
}
