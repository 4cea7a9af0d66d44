package aws

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Journal keeps one text: how a layer of a generation stands. The last one that
// was stored is there.
type Journal struct {
	table      *table
	generation string
	name       string
}

// Journal gives a generation's journal of a name.
func (s *Store) Journal(generation, name string) *Journal {
	return &Journal{table: &table{s.dynamo, s.options.Ledger}, generation: generation, name: name}
}

func (j *Journal) key() (pk, sk string) { return j.generation + "#journals", j.name }

// Load gives what was stored last; nil at first.
func (j *Journal) Load(ctx context.Context) ([]byte, error) {
	pk, sk := j.key()
	found, err := j.table.get(ctx, pk, sk)
	if err != nil {
		return nil, fmt.Errorf("reading the journal %s: %w", j.name, err)
	}
	content, _ := bytesOf(found, data)
	return content, nil
}

// Store replaces it.
func (j *Journal) Store(ctx context.Context, content []byte) error {
	r := key(j.key())
	r[data] = blob(content)
	if _, err := j.table.client.PutItem(ctx, &dynamodb.PutItemInput{TableName: &j.table.name, Item: r}); err != nil {
		return fmt.Errorf("writing the journal %s: %w", j.name, err)
	}
	return nil
}
