//go:build clients

package aws_test

import (
	"testing"

	"github.com/watershed-data/watershed/internal/aws"
	"github.com/watershed-data/watershed/internal/conform"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/standin"
)

// inTables opens stores of which only the tables are there.
func inTables(t *testing.T) *aws.Store {
	t.Helper()
	return open(t, dynamo, tables(t))
}

// inBucket opens stores of which only the bucket is there.
func inBucket(t *testing.T) *aws.Store {
	t.Helper()
	return open(t, ministack, inNewBucket(t))
}

func open(t *testing.T, endpoint string, o aws.Options) *aws.Store {
	t.Helper()
	s, err := aws.Open(standin.Config(endpoint), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLedgerConforms(t *testing.T) {
	t.Parallel()
	conform.Ledger(t, func(t *testing.T) protocol.Ledger { return inTables(t).Ledger("g") })
}

func TestRealTimeConforms(t *testing.T) {
	t.Parallel()
	conform.RealTime(t, func(t *testing.T) protocol.RealTime { return inTables(t).RealTime("g") })
}

func TestMasterConforms(t *testing.T) {
	t.Parallel()
	conform.Master(t, func(t *testing.T) protocol.Master { return inBucket(t).Master("g") })
}

func TestViewsConform(t *testing.T) {
	t.Parallel()
	conform.Views(t, func(t *testing.T) protocol.Views { return inBucket(t).Views("g") })
}

func TestLoadsConform(t *testing.T) {
	t.Parallel()
	conform.Loads(t, func(t *testing.T) protocol.Loads {
		o := tablesAt(t, ministack) // one account holds both the table and the bucket
		o.Views, o.PathStyle = newBucket(t), true
		return open(t, ministack, o).Loads()
	})
}
