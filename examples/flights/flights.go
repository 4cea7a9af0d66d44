// Package flights gives the events of the example: a month of real flights.
package flights

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed" // for the events
)

//go:embed flights-2013-01.ndjson.gz
var packed []byte

// Events gives the events in the order in which they were sent, without line ends.
func Events() ([][]byte, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	var events [][]byte
	lines := bufio.NewScanner(unzipped)
	for lines.Scan() {
		events = append(events, bytes.Clone(lines.Bytes()))
	}
	return events, lines.Err()
}
