package aws

import (
	"context"
	"crypto/rand"
	"errors"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// table is one table of DynamoDB.
type table struct {
	client *dynamodb.Client
	name   string
}

// condition is what must hold of a stored record, or of its absence.
type condition struct {
	expression string
	names      map[string]string
	values     record
}

var absent = condition{expression: "attribute_not_exists(pk)"}

// writeID is the attribute that holds the id of the write that made a record.
const writeID = "w"

// putIf stores a record under a condition; false if it does not hold, with the
// record that is there.
//
// The SDK sends a write again if no reply came, and the first one may have landed:
// then the condition fails on what this very call wrote, which is success.
func (t *table) putIf(ctx context.Context, r record, c condition) (stored bool, there record, err error) {
	id := rand.Text()
	r[writeID] = text(id)
	_, err = t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name, Item: r,
		ConditionExpression: &c.expression, ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return textOf(failed.Item, writeID) == id, failed.Item, nil
	}
	return err == nil, nil, err
}

// get reads a record; nil if there is none.
func (t *table) get(ctx context.Context, pk, sk string) (record, error) {
	out, err := t.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: key(pk, sk), ConsistentRead: sdk.Bool(true)})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

// value reads a record's body; false if there is no record.
func (t *table) value(ctx context.Context, pk, sk string, into any) (bool, error) {
	r, err := t.get(ctx, pk, sk)
	if r == nil || err != nil {
		return false, err
	}
	return true, getBody(r, into)
}

func (t *table) delete(ctx context.Context, pk, sk string) error {
	_, err := t.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: key(pk, sk)})
	return err
}

// query visits every record that the input asks for.
func (t *table) query(ctx context.Context, in *dynamodb.QueryInput, visit func(record) error) error {
	in.TableName, in.ConsistentRead = &t.name, sdk.Bool(true)
	for {
		out, err := t.client.Query(ctx, in)
		if err != nil {
			return err
		}
		for _, r := range out.Items {
			if err := visit(r); err != nil {
				return err
			}
		}
		if out.LastEvaluatedKey == nil {
			return nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}
