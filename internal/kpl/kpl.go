// Package kpl takes apart the records of the Kinesis Producer Library (KPL),
// which puts many records of its users into one record of the stream.
//
// An aggregate is four magic bytes, a protobuf message and the message's MD5:
//
//	message AggregatedRecord {
//	  repeated string partition_key_table     = 1;
//	  repeated string explicit_hash_key_table = 2;
//	  repeated Record records                 = 3;
//	}
//	message Record {
//	  required uint64 partition_key_index     = 1;
//	  optional uint64 explicit_hash_key_index = 2;
//	  required bytes  data                    = 3;
//	  repeated Tag    tags                    = 4;
//	}
//
// The package knows the format and nothing else of Watershed.
package kpl

import (
	"bytes"
	"crypto/md5"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// magic begins every aggregate.
var magic = []byte{0xF3, 0x89, 0x9A, 0xC2}

// The numbers of the messages' fields.
const (
	partitionKeyTable    protowire.Number = 1
	explicitHashKeyTable protowire.Number = 2
	records              protowire.Number = 3

	partitionKeyIndex    protowire.Number = 1
	explicitHashKeyIndex protowire.Number = 2
	recordData           protowire.Number = 3
)

// Record is one record that a user of the KPL put.
type Record struct {
	PartitionKey    string
	ExplicitHashKey string // decimal 128-bit; "": none
	Data            []byte // shares the memory of the aggregate
}

// Likely reports whether data begins and is as long as an aggregate. If it does
// not, Split need not be asked.
func Likely(data []byte) bool {
	return len(data) >= len(magic)+md5.Size && bytes.HasPrefix(data, magic)
}

// Split gives the records of an aggregate in their order; false for a plain
// record. It is a function of the bytes alone, so everybody who reads a log sees
// the same events in it.
//
// Whatever does not check out is a plain record and never an error: without the
// magic, with another digest, not the message above, with an index outside its
// table, with a key that is not UTF-8. So is an aggregate without records.
// Other consumers make no event of that one; but then nobody would ever hear of
// the record, while an event that is its raw bytes is rejected and counted.
//
// The work and the memory it takes are linear in the length of the data.
func Split(data []byte) (_ []Record, ok bool) {
	if !Likely(data) {
		return nil, false
	}
	message, digest := data[len(magic):len(data)-md5.Size], data[len(data)-md5.Size:]
	if sum := md5.Sum(message); !bytes.Equal(sum[:], digest) {
		return nil, false
	}
	var a aggregate
	if !a.parse(message) || len(a.records) == 0 {
		return nil, false
	}
	return a.split()
}

// aggregate is the outer message. Tables may come after the records that point
// into them.
type aggregate struct {
	keys, hashKeys []string
	records        [][]byte
}

func (a *aggregate) parse(message []byte) bool {
	return fields(message, func(number protowire.Number, value []byte, _ uint64) bool {
		switch {
		case value == nil: // not one of ours
		case number == partitionKeyTable:
			a.keys = append(a.keys, string(value))
			return utf8.Valid(value)
		case number == explicitHashKeyTable:
			a.hashKeys = append(a.hashKeys, string(value))
			return utf8.Valid(value)
		case number == records:
			a.records = append(a.records, value)
		}
		return true
	})
}

func (a *aggregate) split() ([]Record, bool) {
	out := make([]Record, len(a.records))
	for i, message := range a.records {
		if !a.record(message, &out[i]) {
			return nil, false
		}
	}
	return out, true
}

// record reads one inner message.
func (a *aggregate) record(message []byte, r *Record) bool {
	var hasKey, hasHashKey bool
	var key, hashKey uint64
	whole := fields(message, func(number protowire.Number, value []byte, n uint64) bool {
		switch {
		case number == partitionKeyIndex && value == nil:
			hasKey, key = true, n
		case number == explicitHashKeyIndex && value == nil:
			hasHashKey, hashKey = true, n
		case number == recordData && value != nil:
			r.Data = value[:len(value):len(value)]
		}
		return true
	})
	if !whole || !hasKey || r.Data == nil || key >= uint64(len(a.keys)) {
		return false
	}
	r.PartitionKey = a.keys[key]
	if hasHashKey {
		if hashKey >= uint64(len(a.hashKeys)) {
			return false
		}
		r.ExplicitHashKey = a.hashKeys[hashKey]
	}
	return true
}

// fields goes over a message's fields, until visit gives false. A field of bytes
// has a value that is not nil, one of a varint has n; others are left out, as
// protobuf wants it of fields that one does not know. It gives false for what is
// not a message.
func fields(message []byte, visit func(number protowire.Number, value []byte, n uint64) bool) bool {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return false
		}
		message = message[size:]
		var value []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(message)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(message)
		default:
			if size = protowire.ConsumeFieldValue(number, kind, message); size < 0 {
				return false
			}
			message = message[size:]
			continue
		}
		if size < 0 || !visit(number, value, n) {
			return false
		}
		message = message[size:]
	}
	return true
}
