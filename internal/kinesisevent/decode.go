package kinesisevent

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/watershed-data/watershed/internal/protocol"
)

// Record is one record of a stream as Lambda hands it over: an event, or a KPL
// aggregate of several.
type Record struct {
	Shard string
	protocol.Stored
}

// payload is what is read of an invocation's payload.
type payload struct {
	Records []struct {
		EventID     string `json:"eventID"` // shard:sequence number
		EventSource string `json:"eventSource"`
		Kinesis     struct {
			PartitionKey   *string     `json:"partitionKey"`
			SequenceNumber string      `json:"sequenceNumber"`
			Data           *string     `json:"data"`
			Arrival        json.Number `json:"approximateArrivalTimestamp"`
		} `json:"kinesis"`
	} `json:"Records"`
}

// Decode reads the payload of an invocation by the event source of a stream, in
// its order. One record that cannot be read fails them all: nothing is passed over.
func Decode(text []byte) ([]Record, error) {
	var p payload
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("reading the payload of the invocation: %w", err)
	}
	if len(p.Records) == 0 {
		return nil, errors.New("reading the payload of the invocation: it has no Records; the function is for the event source of a Kinesis stream")
	}
	out := make([]Record, len(p.Records))
	for i := range p.Records {
		in := &p.Records[i]
		fail := func(err error) ([]Record, error) {
			return nil, fmt.Errorf("reading record %d of the invocation, %q: %w", i+1, in.EventID, err)
		}
		if in.EventSource != "aws:kinesis" {
			return fail(fmt.Errorf("its eventSource is %q, not aws:kinesis", in.EventSource))
		}
		if in.Kinesis.Data == nil || in.Kinesis.PartitionKey == nil {
			return fail(errors.New("it has no data or no partitionKey"))
		}
		shard, seq, ok := strings.Cut(in.EventID, ":")
		if !ok || shard == "" || seq != in.Kinesis.SequenceNumber || !isSequence(seq) {
			return fail(fmt.Errorf("its eventID is not a shard and the sequence number %q", in.Kinesis.SequenceNumber))
		}
		arrival, err := parseSeconds(string(in.Kinesis.Arrival))
		if err != nil {
			return fail(err)
		}
		data, err := base64.StdEncoding.DecodeString(*in.Kinesis.Data)
		if err != nil {
			return fail(fmt.Errorf("its data is not base64: %w", err))
		}
		out[i] = Record{shard, protocol.Stored{Seq: seq, PartitionKey: *in.Kinesis.PartitionKey, Arrival: arrival, Data: data}}
	}
	return out, nil
}

// isSequence reports whether a text is a number without leading zeros, and not
// longer than a position's key holds.
func isSequence(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != "" && s[0] != '0' && len(s) <= 999
}
