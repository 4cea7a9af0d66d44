package aws

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// record is one item of a table, or its key, or the values of an expression.
type record = map[string]types.AttributeValue

// The attributes of both tables' keys.
const (
	partition = "pk"
	sorting   = "sk"
)

func key(pk, sk string) record { return record{partition: text(pk), sorting: text(sk)} }

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func blob(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

var errDamaged = errors.New("the stored record is damaged")

// textOf gives a text; "" if the record has none of that name.
func textOf(r record, name string) string {
	if v, ok := r[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func numberOf(r record, name string) (int64, error) {
	v, ok := r[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, fmt.Errorf("%w: it has no number %q", errDamaged, name)
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: its %s is %q", errDamaged, name, v.Value)
	}
	return n, nil
}

// bytesOf gives bytes, never nil; false if the record has none of that name.
func bytesOf(r record, name string) ([]byte, bool) {
	v, ok := r[name].(*types.AttributeValueMemberB)
	switch {
	case !ok:
		return nil, false
	case v.Value == nil:
		return []byte{}, true
	}
	return v.Value, true
}

// body is the attribute that holds a value of the ledger as JSON.
const body = "body"

func setBody(r record, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	r[body] = text(string(encoded))
	return nil
}

func getBody(r record, value any) error {
	if err := json.Unmarshal([]byte(textOf(r, body)), value); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil
}

func str(s string) *string { return sdk.String(s) }
