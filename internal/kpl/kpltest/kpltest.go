// Package kpltest makes aggregates as the Kinesis Producer Library does, for
// tests. It knows the format and nothing else of Watershed.
package kpltest

import (
	"crypto/md5"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/watershed-data/watershed/internal/kpl"
)

// Join gives the aggregate of records.
func Join(records ...kpl.Record) []byte {
	var keys, hashKeys []string
	var tables, bodies []byte
	index := func(table *[]string, number protowire.Number, key string) uint64 {
		i := slices.Index(*table, key)
		if i < 0 {
			i = len(*table)
			*table = append(*table, key)
			tables = protowire.AppendString(protowire.AppendTag(tables, number, protowire.BytesType), key)
		}
		return uint64(i)
	}
	for _, r := range records {
		var body []byte
		body = protowire.AppendVarint(protowire.AppendTag(body, 1, protowire.VarintType), index(&keys, 1, r.PartitionKey))
		if r.ExplicitHashKey != "" {
			body = protowire.AppendVarint(protowire.AppendTag(body, 2, protowire.VarintType), index(&hashKeys, 2, r.ExplicitHashKey))
		}
		body = protowire.AppendBytes(protowire.AppendTag(body, 3, protowire.BytesType), r.Data)
		bodies = protowire.AppendBytes(protowire.AppendTag(bodies, 3, protowire.BytesType), body)
	}
	return Seal(append(tables, bodies...))
}

// Seal puts the magic bytes and the digest around a message.
func Seal(message []byte) []byte {
	sum := md5.Sum(message)
	return slices.Concat([]byte{0xF3, 0x89, 0x9A, 0xC2}, message, sum[:])
}
