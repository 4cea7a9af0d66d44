package rejects

import (
	"cmp"
	"encoding/base64"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/archive"
	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/protocol"
)

// maxRaw is how many bytes of an event are shown.
const maxRaw = 2000

// Example is one rejected event.
type Example struct {
	Shard        string   `json:"shard"`
	Position     string   `json:"position"`
	Arrival      string   `json:"arrival"`
	PartitionKey string   `json:"partitionKey"`
	Detail       string   `json:"detail"` // what exactly was wrong with it
	Encoding     Encoding `json:"encoding"`
	Length       int      `json:"length"` // of the event, bytes
	Shown        int      `json:"shown"`  // of them in raw; fewer than length: the rest was cut off
	Raw          string   `json:"raw"`

	arrival int64
	at      protocol.Position
}

// newestFirst orders examples. Events of one request arrive together, and in a
// shard the later position is the newer.
func newestFirst(a, b Example) int {
	return cmp.Or(cmp.Compare(b.arrival, a.arrival), cmp.Compare(a.Shard, b.Shard), b.at.Compare(a.at))
}

// Encoding is how an event's bytes are shown.
type Encoding string

// The encodings: as they are if they are text, else in base64.
const (
	Text   Encoding = "text"
	Base64 Encoding = "base64"
)

func newExample(r archive.Rejected) Example {
	e := Example{
		Shard: r.Shard, Position: r.Position.String(), PartitionKey: r.PartitionKey, Detail: r.Detail,
		Arrival: column.FormatText(column.Type{Kind: column.Timestamp}, column.Value{Int: r.Arrival * 1000}),
		Length:  len(r.Data), Encoding: Text, arrival: r.Arrival, at: r.Position,
	}
	shown := r.Data
	if !utf8.Valid(shown) {
		e.Encoding = Base64
	}
	if len(shown) > maxRaw {
		shown = shown[:maxRaw]
		for e.Encoding == Text && !utf8.Valid(shown) { // not half a character
			shown = shown[:len(shown)-1]
		}
	}
	e.Shown = len(shown)
	if e.Raw = string(shown); e.Encoding == Base64 {
		e.Raw = base64.StdEncoding.EncodeToString(shown)
	}
	return e
}
