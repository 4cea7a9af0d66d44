package firehose

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watershed-data/watershed/internal/protocol"
)

// invocation is what is read of an invocation's payload. Each record is read on its
// own, so that a bad one does not spoil the others.
type invocation struct {
	Records []json.RawMessage `json:"records"`
}

// record is one record of an invocation.
type record struct {
	ID       json.RawMessage `json:"recordId"` // a JSON string; the answer repeats it
	Data     *string         `json:"data"`     // base64
	Metadata *metadata       `json:"kinesisRecordMetadata"`
}

// metadata says where a record lay in the stream.
type metadata struct {
	Shard        string          `json:"shardId"`
	PartitionKey *string         `json:"partitionKey"`
	Seq          string          `json:"sequenceNumber"`
	Sub          json.RawMessage `json:"subsequenceNumber"`           // a number, a string of one, "", or nothing
	Arrival      json.RawMessage `json:"approximateArrivalTimestamp"` // integer milliseconds, or RFC 3339 as a string
}

// decode reads the payload of an invocation. For each record it gives its id, and
// its event or why there is none.
func decode(payload []byte) ([]placed, error) {
	var in invocation
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, fmt.Errorf("reading the payload of the invocation: %w", err)
	}
	if len(in.Records) == 0 {
		return nil, errors.New("reading the payload of the invocation: it has no records; the function is for the data transformation of Firehose")
	}
	out := make([]placed, len(in.Records))
	for i, text := range in.Records {
		var id struct {
			ID *string `json:"recordId"`
		}
		if err := json.Unmarshal(text, &id); err != nil || id.ID == nil {
			return nil, fmt.Errorf("reading the payload of the invocation: record %d has no recordId to answer to", i+1)
		}
		p := &out[i]
		p.name = *id.ID
		var r record
		if p.failed = json.Unmarshal(text, &r); p.failed == nil {
			p.id = r.ID
			p.shard, p.event, p.failed = r.place()
		} else {
			p.id, _ = json.Marshal(p.name)
		}
	}
	return out, nil
}

// place gives a record's event, as far as its metadata says what it is.
func (r *record) place() (shard string, e protocol.Event, err error) {
	m := r.Metadata
	switch {
	case r.Data == nil:
		return "", e, errors.New("it has no data")
	case m == nil:
		return "", e, errors.New("it has no kinesisRecordMetadata: it was put into Firehose past the stream, and has no place in the log")
	case m.Shard == "" || m.PartitionKey == nil:
		return "", e, errors.New("its metadata has no shardId or no partitionKey")
	}
	if e.Position, err = parsePlace(m.Seq, m.Sub); err != nil {
		return "", e, err
	}
	if e.Arrival, err = parseArrival(m.Arrival); err != nil {
		return "", e, err
	}
	if e.Data, err = base64.StdEncoding.DecodeString(*r.Data); err != nil {
		return "", e, fmt.Errorf("its data is not base64: %w", err)
	}
	e.PartitionKey = *m.PartitionKey
	return m.Shard, e, nil
}

// parsePlace reads a position. Without a sub-sequence number it is 0.
func parsePlace(seq string, sub json.RawMessage) (protocol.Position, error) {
	text := unquote(sub)
	if text == "" || text == "null" {
		text = "0"
	}
	p, err := protocol.ParsePosition(seq + ":" + text)
	if err != nil || p.IsZero() {
		return p, fmt.Errorf("its sequenceNumber %q and subsequenceNumber %q are not a position", seq, text)
	}
	return p, nil
}

// parseArrival reads milliseconds since 1970-01-01 UTC.
func parseArrival(value json.RawMessage) (int64, error) {
	text := unquote(value)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return n, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil && t.Nanosecond()%1e6 == 0 && t.Unix() >= 0 {
		return t.UnixMilli(), nil
	}
	return 0, fmt.Errorf("its approximateArrivalTimestamp %q is not a whole number of milliseconds", text)
}

// unquote gives the text of a JSON number, or what a string without escapes holds.
func unquote(value json.RawMessage) string { return strings.Trim(string(value), `"`) }
