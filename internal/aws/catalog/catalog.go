// Package catalog keeps the merged views in Glue's catalog, where Athena finds them.
// It knows what a view is, and neither how it is rendered nor any layer.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"github.com/watershed-data/watershed/internal/aws/tries"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/tables"
)

// Catalog is one database of the catalog. It may be used by several goroutines at
// once.
type Catalog struct {
	client   *glue.Client
	database string
	merged   func(*protocol.Manifest) ([]tables.View, error)
}

// New gives the database of that name. merged gives the views of a version. It asks
// nothing of the catalog yet.
func New(config sdk.Config, database string, merged func(*protocol.Manifest) ([]tables.View, error)) *Catalog {
	config.Retryer = tries.Retryer
	return &Catalog{client: glue.NewFromConfig(config), database: database, merged: merged}
}

// Published puts the views of a version in the place of those of the version before.
// Each is replaced in one call, so a query reads one version or the other. To be told
// twice, or of a version that others came after, changes nothing.
func (c *Catalog) Published(ctx context.Context, m protocol.Manifest) error {
	views, err := c.merged(&m)
	if err != nil {
		return fmt.Errorf("rendering the views of %s: %w", m.Version, err)
	}
	var errs []error // one view that cannot be replaced does not keep the others old
	for _, v := range views {
		errs = append(errs, c.Replace(ctx, v))
	}
	return errors.Join(errs...)
}

// Replace stores a view, in the place of the one of its name if there is one that is
// not of a later version.
func (c *Catalog) Replace(ctx context.Context, v tables.View) error {
	input, err := c.input(v)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		done, err := c.replace(ctx, v, input)
		if err != nil {
			return fmt.Errorf("replacing the view %s.%s in the catalog: %w", c.database, v.Name, err)
		}
		if done {
			return nil
		}
		if try == tries.Most {
			return fmt.Errorf("replacing the view %s.%s in the catalog: %w", c.database, v.Name, protocol.ErrBusy)
		}
		if err := tries.Pause(ctx, try); err != nil {
			return err
		}
	}
}

// replace tries once; false if another one was faster.
func (c *Catalog) replace(ctx context.Context, v tables.View, input *types.TableInput) (done bool, err error) {
	found, err := c.client.GetTable(ctx, &glue.GetTableInput{DatabaseName: &c.database, Name: &v.Name})
	var missing *types.EntityNotFoundException
	if errors.As(err, &missing) {
		_, err = c.client.CreateTable(ctx, &glue.CreateTableInput{DatabaseName: &c.database, TableInput: input})
		var exists *types.AlreadyExistsException
		if errors.As(err, &exists) {
			return false, nil
		}
		return err == nil, err
	}
	if err != nil {
		return false, err
	}
	old := found.Table
	if sdk.ToString(old.TableType) != tables.VirtualView {
		return false, errors.New("there is a table of that name, which is not a view; rename or delete it")
	}
	if seq, err := strconv.ParseInt(old.Parameters[tables.SeqParameter], 10, 64); err == nil && seq > v.Seq {
		return true, nil
	}
	if same(old, input) {
		return true, nil
	}
	_, err = c.client.UpdateTable(ctx, &glue.UpdateTableInput{
		DatabaseName: &c.database, TableInput: input,
		VersionId:   old.VersionId,  // another one's view is not written over unseen
		SkipArchive: sdk.Bool(true), // else every version of the views stays in the catalog for ever
	})
	var changed *types.ConcurrentModificationException
	if errors.As(err, &changed) {
		return false, nil
	}
	return err == nil, err
}

// same reports whether the catalog says already what would be written.
func same(old *types.Table, input *types.TableInput) bool {
	return sdk.ToString(old.ViewOriginalText) == sdk.ToString(input.ViewOriginalText) &&
		sdk.ToString(old.Description) == sdk.ToString(input.Description) &&
		maps.Equal(old.Parameters, input.Parameters) &&
		old.StorageDescriptor != nil && slices.EqualFunc(old.StorageDescriptor.Columns, input.StorageDescriptor.Columns, func(a, b types.Column) bool {
		return sdk.ToString(a.Name) == sdk.ToString(b.Name) && sdk.ToString(a.Type) == sdk.ToString(b.Type)
	})
}

// input is a view as Glue takes it.
func (c *Catalog) input(v tables.View) (*types.TableInput, error) {
	text, err := v.Text(c.database)
	if err != nil {
		return nil, err
	}
	return &types.TableInput{
		Name: &v.Name, Description: sdk.String(v.Comment()), TableType: sdk.String(tables.VirtualView),
		Parameters:        v.Parameters(),
		ViewOriginalText:  &text,
		ViewExpandedText:  sdk.String(tables.ExpandedText),
		StorageDescriptor: &types.StorageDescriptor{Columns: columns(v.Columns), SerdeInfo: &types.SerDeInfo{}},
	}, nil
}

func columns(of []tables.Column) []types.Column {
	out := make([]types.Column, len(of))
	for i, c := range of {
		out[i] = types.Column{Name: sdk.String(c.Name), Type: sdk.String(c.Hive)}
	}
	return out
}
