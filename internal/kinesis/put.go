package kinesis

import (
	"context"
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/watershed-data/watershed/internal/protocol"
)

// What a request may carry.
const (
	maxEntries      = 500
	maxRecordBytes  = 1 << 20  // data and partition key
	maxEntriesBytes = 10 << 20 // of one call, data and partition keys
	maxKeyLength    = 256      // code points
)

var (
	hashKeyForm  = regexp.MustCompile(`^(0|[1-9][0-9]{0,38})$`)
	sequenceForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,128})$`)
)

// largestHashKey is 2^128-1.
const largestHashKey = "340282366920938463463374607431768211455"

func (h *Handler) putRecord(ctx context.Context, in *putRecordIn) (*putRecordOut, error) {
	if err := h.check(in.target); err != nil {
		return nil, err
	}
	if s := in.SequenceNumberForOrdering; s != nil && !sequenceForm.MatchString(*s) {
		return nil, violation("sequenceNumberForOrdering", *s, "satisfy regular expression pattern: 0|([1-9]\\d{0,128})")
	}
	r, err := in.entry.record(-1)
	if err != nil {
		return nil, err
	}
	if h.throttle != nil {
		refused, err := h.throttle.put(ctx, []protocol.Record{r})
		if err != nil {
			return nil, err
		}
		if refused[0] != "" {
			return nil, fault("ProvisionedThroughputExceededException", "%s", h.rateExceeded(refused[0]))
		}
	}
	placed, err := h.log.Append(ctx, []protocol.Record{r})
	if err != nil {
		return nil, err
	}
	return &putRecordOut{ShardId: placed[0].Shard, SequenceNumber: placed[0].Seq, EncryptionType: "NONE"}, nil
}

func (h *Handler) putRecords(ctx context.Context, in *putRecordsIn) (*putRecordsOut, error) {
	if err := h.check(in.target); err != nil {
		return nil, err
	}
	records, err := in.Records.records()
	if err != nil {
		return nil, err
	}
	out := &putRecordsOut{Records: make([]placedEntry, len(records)), EncryptionType: "NONE"}
	var refused []string
	if h.throttle != nil {
		if refused, err = h.throttle.put(ctx, records); err != nil {
			return nil, err
		}
	}
	accepted := records[:0]
	for i, r := range records {
		if refused != nil && refused[i] != "" {
			out.FailedRecordCount++
			out.Records[i] = placedEntry{ErrorCode: "ProvisionedThroughputExceededException", ErrorMessage: h.rateExceeded(refused[i])}
		} else {
			accepted = append(accepted, r)
		}
	}
	placed, err := h.log.Append(ctx, accepted)
	if err != nil {
		return nil, err
	}
	for i := range out.Records {
		if out.Records[i].ErrorCode == "" {
			out.Records[i] = placedEntry{SequenceNumber: placed[0].Seq, ShardId: placed[0].Shard}
			placed = placed[1:]
		}
	}
	return out, nil
}

// records checks the entries of a call, which stands or falls as a whole.
func (e entries) records() ([]protocol.Record, error) {
	switch {
	case e == nil:
		return nil, violation("records", nil, "not be null")
	case len(e) == 0:
		return nil, violation("records", "[]", "have length greater than or equal to 1")
	case len(e) > maxEntries:
		return nil, violation("records", "[...]", "have length less than or equal to %d", maxEntries)
	}
	records, bytes := make([]protocol.Record, len(e)), 0
	for i := range e {
		r, err := e[i].record(i)
		if err != nil {
			return nil, err
		}
		records[i] = r
		bytes += len(r.Data) + len(r.PartitionKey)
	}
	if bytes > maxEntriesBytes {
		return nil, invalidArgument("Records size exceeds 10 MB limit")
	}
	return records, nil
}

// record checks one entry, the i-th of a call with several, or -1.
func (e *entry) record(i int) (protocol.Record, error) {
	var r protocol.Record
	path := entryPath(i)
	if e.Data == nil {
		return r, violation(path.to("data"), nil, "not be null")
	}
	if e.PartitionKey == nil {
		return r, violation(path.to("partitionKey"), nil, "not be null")
	}
	r.Data, r.PartitionKey = e.Data, *e.PartitionKey
	if r.PartitionKey == "" {
		return r, violation(path.to("partitionKey"), "", "have length greater than or equal to 1")
	}
	if len(r.PartitionKey) > maxKeyLength && utf8.RuneCountInString(r.PartitionKey) > maxKeyLength {
		return r, violation(path.to("partitionKey"), r.PartitionKey, "have length less than or equal to %d", maxKeyLength)
	}
	if len(r.Data)+len(r.PartitionKey) > maxRecordBytes {
		return r, violation(path.to("data"), "[...]", "have length less than or equal to %d, its partition key included", maxRecordBytes)
	}
	if e.ExplicitHashKey != nil {
		r.ExplicitHashKey = *e.ExplicitHashKey
		if !hashKeyForm.MatchString(r.ExplicitHashKey) {
			return r, violation(path.to("explicitHashKey"), r.ExplicitHashKey, "satisfy regular expression pattern: 0|([1-9]\\d{0,38})")
		}
		if len(r.ExplicitHashKey) == len(largestHashKey) && r.ExplicitHashKey > largestHashKey {
			return r, invalidArgument("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", r.ExplicitHashKey)
		}
	}
	return r, nil
}

// entryPath is the way to an entry in a request, as errors name it.
type entryPath int

func (i entryPath) to(member string) string {
	if i < 0 {
		return member
	}
	return fmt.Sprintf("records.%d.member.%s", i+1, member)
}
