package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// Without this, a verification that fails on its way, or is cut off, looks like one
// that found nothing.
func TestReadVerification(t *testing.T) {
	t.Parallel()
	var seen []string
	note := func(events, of int64) { seen = append(seen, fmt.Sprint(events, "/", of)) }
	const some = `{"progress":{"events":1,"of":4}}` + "\n" + `{"progress":{"events":3,"of":4}}` + "\n"
	result, err := readVerification(strings.NewReader(some+`{"result":{"equal":true}}`+"\n"), note)
	if err != nil || string(result) != `{"equal":true}` || strings.Join(seen, " ") != "1/4 3/4" {
		t.Errorf("%s, %v, progress %v", result, err, seen)
	}
	var told toldError
	if _, err := readVerification(strings.NewReader(some+`{"error":{"code":"busy","message":"try again"}}`+"\n"), note); !errors.As(err, &told) || err.Error() != "try again" {
		t.Errorf("an error on the way is %v", err)
	}
	if _, err := readVerification(strings.NewReader(some), note); !errors.Is(err, io.EOF) {
		t.Errorf("an answer that broke off is %v", err)
	}
}
