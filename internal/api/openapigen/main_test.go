package main

import (
	"bytes"
	"os"
	"testing"
)

// Without this, the document says what the API was.
func TestTheDocumentIsFresh(t *testing.T) {
	t.Parallel()
	want, err := generate("../../..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("openapi.json is not what `make generate` makes")
	}
}
