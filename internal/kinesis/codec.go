package kinesis

import (
	"encoding/json"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// The content types of the API.
const (
	jsonType = "application/x-amz-json-1.1"
	cborType = "application/x-amz-cbor-1.1"
)

// codec is one of the API's two encodings.
type codec struct {
	contentType string
	decode      func([]byte, any) error
	encode      func(any) ([]byte, error)
}

var (
	jsonCodec = codec{jsonType, decodeJSON, json.Marshal}
	cborCodec = codec{cborType, cborDecoding.Unmarshal, cborEncoding.Marshal}

	cborDecoding = must(cbor.DecOptions{MaxNestedLevels: 16, MaxArrayElements: 16_384, MaxMapPairs: 1_024}.DecMode())
	cborEncoding = must(cbor.EncOptions{}.EncMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// codecOf gives the encoding of a content type; false, and JSON, if it has none.
func codecOf(contentType string) (codec, bool) {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch kind {
	case cborType:
		return cborCodec, true
	case jsonType:
		return jsonCodec, true
	}
	return jsonCodec, false
}

func decodeJSON(text []byte, into any) error {
	if in, ok := into.(*putRecordsIn); ok {
		if in.scan(text) {
			return nil
		}
		*in = putRecordsIn{}
	}
	return json.Unmarshal(text, into)
}

// timestamp is a time in milliseconds since 1970-01-01 UTC. In JSON it is
// seconds with a fraction, in CBOR milliseconds under the tag of epoch times.
type timestamp int64

const epochTag = 1

func (t timestamp) String() string { return time.UnixMilli(int64(t)).UTC().Format(time.RFC3339Nano) }

// MarshalJSON writes seconds, by digits: a float would round.
func (t timestamp) MarshalJSON() ([]byte, error) {
	seconds, millis := int64(t)/1000, int64(t)%1000
	return fmt.Appendf(nil, "%d.%03d", seconds, millis), nil
}

// UnmarshalJSON reads seconds; what is finer than a millisecond is cut off.
func (t *timestamp) UnmarshalJSON(text []byte) error {
	whole, fraction, _ := strings.Cut(string(text), ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err == nil && seconds >= 0 && seconds < 1e12 && strings.Trim(fraction, "0123456789") == "" {
		millis, _ := strconv.ParseInt((fraction + "000")[:3], 10, 64)
		*t = timestamp(seconds*1000 + millis)
		return nil
	}
	// Some clients write 1.7E9.
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f < 0 || f >= 1e12 {
		return fmt.Errorf("%.32q is not a time in seconds since 1970", text)
	}
	*t = timestamp(f * 1000)
	return nil
}

// MarshalCBOR writes milliseconds.
func (t timestamp) MarshalCBOR() ([]byte, error) {
	return cborEncoding.Marshal(cbor.Tag{Number: epochTag, Content: int64(t)})
}

// UnmarshalCBOR reads milliseconds, as an integer or a float.
func (t *timestamp) UnmarshalCBOR(data []byte) error {
	var raw cbor.RawTag
	if err := cborDecoding.Unmarshal(data, &raw); err != nil {
		return err
	}
	if raw.Number != epochTag {
		return fmt.Errorf("tag %d is not that of a time", raw.Number)
	}
	var millis float64
	if err := cborDecoding.Unmarshal(raw.Content, &millis); err != nil {
		return err
	}
	if !(millis >= 0 && millis < 1e15) {
		return fmt.Errorf("%v is not a time in milliseconds since 1970", millis)
	}
	*t = timestamp(millis)
	return nil
}
