//go:build clients

package catalog_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/watershed-data/watershed/internal/aws/catalog"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/standin"
	"github.com/watershed-data/watershed/internal/tables"
)

// empty gives a database without a table.
func empty(t *testing.T) (client *glue.Client, database string) {
	t.Helper()
	client, database = glue.NewFromConfig(standin.Config(ministack)), "d"+strings.ToLower(rand.Text())
	_, err := client.CreateDatabase(t.Context(), &glue.CreateDatabaseInput{DatabaseInput: &types.DatabaseInput{Name: &database}})
	must(t, err)
	return client, database
}

// numbers renders two views of a version, which say its number.
func numbers(m *protocol.Manifest) (out []tables.View, err error) {
	for _, name := range []string{"one", "two"} {
		out = append(out, tables.View{
			Name: name, Description: "of " + m.Version, SQL: "SELECT '" + m.Version + "' AS version", Seq: m.Seq,
			Columns: []tables.Column{{Name: "version", Hive: "string", SQL: "varchar"}},
		})
	}
	return out, nil
}

func version(seq int64) protocol.Manifest {
	return protocol.Manifest{Version: "v" + strings.Repeat("i", int(seq)), Seq: seq}
}

// says asks Trino for the version that a view is of.
func says(t *testing.T, database, view string) string {
	t.Helper()
	rows, err := standin.TrinoQuery(trino, database, "SELECT * FROM "+view)
	must(t, err)
	return rows[0][0]
}

// Without this, a retried step of an old run takes the views back to a version whose
// files are about to be deleted.
func TestViewsOnlyMoveForward(t *testing.T) {
	t.Parallel()
	_, database := empty(t)
	c := catalog.New(standin.Config(ministack), database, numbers)
	for _, step := range []struct{ published, want int64 }{{1, 1}, {1, 1}, {3, 3}, {2, 3}, {4, 4}} {
		must(t, c.Published(t.Context(), version(step.published)))
		for _, view := range []string{"one", "two"} {
			if got := says(t, database, view); got != version(step.want).Version {
				t.Errorf("after version %d was published, view %s is of %s, want %s", step.published, view, got, version(step.want).Version)
			}
		}
	}
}

// Each finds the others in its way five times at most, and tries more often.
func TestOfManyThatPublishAtOnceTheLatestStays(t *testing.T) {
	t.Parallel()
	_, database := empty(t)
	const last = 6
	var wg sync.WaitGroup
	for seq := range int64(last) {
		wg.Go(func() {
			c := catalog.New(standin.Config(ministack), database, numbers)
			if err := c.Published(t.Context(), version(seq+1)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, view := range []string{"one", "two"} {
		if got := says(t, database, view); got != version(last).Version {
			t.Errorf("view %s is of %q", view, got)
		}
	}
}

// A table of the user's is never written over.
func TestATableIsNotReplaced(t *testing.T) {
	t.Parallel()
	client, database := empty(t)
	_, err := client.CreateTable(t.Context(), &glue.CreateTableInput{DatabaseName: &database, TableInput: &types.TableInput{Name: sdk.String("one"), TableType: sdk.String(tables.ExternalTable)}})
	must(t, err)
	err = catalog.New(standin.Config(ministack), database, numbers).Published(t.Context(), version(1))
	if err == nil || !strings.Contains(err.Error(), "which is not a view; rename or delete it") {
		t.Errorf("the error is %v", err)
	}
	if got := says(t, database, "two"); got != version(1).Version {
		t.Errorf("the other view is of %q: one that cannot be replaced keeps it old", got)
	}
}

func TestAViewThatIsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	_, database := empty(t)
	c := catalog.New(standin.Config(ministack), database, nil)
	err := c.Replace(context.Background(), tables.View{Name: "long", SQL: strings.Repeat("x", tables.MaxText)})
	if err == nil || !strings.Contains(err.Error(), "where the catalog takes 409600") {
		t.Errorf("the error is %v", err)
	}
}
