package firehose

import (
	"encoding/base64"
	"errors"
)

// BufferMiB is the buffer that Firehose's transform is to have, in MiB of events:
// the smallest that there is. Around an event's bytes a row has some 600 bytes of
// names, hashes and times, and all of it comes back in base64 once more, so small
// events come back about twelve times as long.
const BufferMiB = 0.2

// maxResponse is the longest answer in bytes. Lambda gives back 6 MB.
const maxResponse = 6_000_000

var errFull = errors.New("the answer to the invocation would be longer than Lambda gives back: give Firehose's transform a smaller buffer")

// What stands around a record's id and data in an answer. A record that failed has
// no data: Firehose keeps the original.
const (
	head    = `{"records":[`
	before  = `{"recordId":`
	ok      = `,"result":"Ok","data":"`
	failed  = `,"result":"ProcessingFailed","data":"`
	behind  = `"},`
	closing = `]}`
)

// respond writes the answer. Records for whose rows there is no room fail.
func respond(records []placed) []byte {
	rest := len(head) + len(closing) // that is still to be written, if all fail
	for i := range records {
		rest += len(before) + len(records[i].id) + len(failed) + len(behind)
	}
	out := append(make([]byte, 0, min(maxResponse, 2*rest)), head...)
	rest -= len(head)
	for i := range records {
		r := &records[i]
		rest -= len(before) + len(r.id) + len(failed) + len(behind)
		size := len(before) + len(r.id) + len(ok) + base64.StdEncoding.EncodedLen(len(r.json)) + len(behind)
		if r.failed == nil && len(out)+size+rest > maxResponse {
			r.failed = errFull
		}
		out = append(append(out, before...), r.id...)
		if r.failed != nil {
			out = append(out, failed...)
		} else {
			out = base64.StdEncoding.AppendEncode(append(out, ok...), r.json)
		}
		out = append(out, behind...)
	}
	return append(out[:len(out)-1], closing...) // without the last comma
}
