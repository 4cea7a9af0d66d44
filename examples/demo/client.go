package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// client calls a pipeline's HTTP interface.
type client struct{ endpoint string }

// requestTimeout is long enough for a batch run and a verify of the demo.
const requestTimeout = time.Minute

// answer is what /v1/query returns.
type answer struct {
	Version   string            `json:"version"`
	Watershed string            `json:"watershed"`
	Committed map[string]string `json:"committed"` // "sequence:sub" by shard
	Rows      []map[string]any  `json:"rows"`      // numbers are json.Number
}

// query asks a view; options are the flags of `watershed query`.
func (c *client) query(ctx context.Context, view string, options url.Values) (answer, error) {
	parameters := url.Values{"view": {view}}
	for name, values := range options {
		parameters[name] = values
	}
	var a answer
	err := c.do(ctx, http.MethodGet, "/v1/query?"+parameters.Encode(), &a)
	return a, err
}

// do makes a request and decodes its answer into result.
func (c *client) do(ctx context.Context, method, path string, result any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.endpoint+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, text)
	}
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber()
	if err := decoder.Decode(result); err != nil {
		return fmt.Errorf("%s %s: decoding the answer: %w", method, path, err)
	}
	return nil
}
