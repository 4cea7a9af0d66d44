package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// pipeline is a running pipeline as its users see it: an address.
type pipeline struct {
	name     string
	endpoint string
	http     *http.Client
	kinesis  *kinesis.Client
}

// connections is how many requests may be under way and find a connection open.
const connections = 64

// newPipeline gives the pipeline at an endpoint; nil if that is "".
func newPipeline(name, endpoint string) *pipeline {
	if endpoint == "" {
		return nil
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	return &pipeline{
		name: name, endpoint: endpoint, http: client,
		kinesis: kinesis.New(kinesis.Options{
			Region:       "us-east-1", // nothing depends on it
			BaseEndpoint: &endpoint,
			Credentials:  credentials.NewStaticCredentialsProvider("watershed", "none", ""),
			Retryer:      aws.NopRetryer{}, // a retry would be a figure of its own
			HTTPClient:   client,
		}),
	}
}

// query asks a view and gives the whole answer, undecoded.
func (p *pipeline) query(ctx context.Context, question url.Values) ([]byte, error) {
	return p.do(ctx, http.MethodGet, "/v1/query?"+question.Encode())
}

// probe is the cheapest question whose answer says what is committed.
var probe = url.Values{"view": {"ws_outcomes"}}

// committed gives the position up to which answers hold events, by shard.
func (p *pipeline) committed(ctx context.Context) (positions, error) {
	body, err := p.query(ctx, probe)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Committed map[string]string `json:"committed"` // "sequence:sub"
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("decoding an answer: %w", err)
	}
	out := positions{}
	for shard, position := range answer.Committed {
		out[shard], _, _ = strings.Cut(position, ":")
	}
	return out, nil
}

// await returns when everything up to the positions is visible.
func (p *pipeline) await(ctx context.Context, last positions) error {
	for {
		committed, err := p.committed(ctx)
		if err != nil || committed.reached(last) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(awaitPause): // so that the asking is not what is measured
		}
	}
}

// awaitPause is how long await lets pass between two questions: a bound of its error.
const awaitPause = 10 * time.Millisecond

// do makes a request and gives its whole answer.
func (p *pipeline) do(ctx context.Context, method, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, p.endpoint+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := p.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s: %.1000s", method, path, response.Status, body)
	}
	return body, nil
}

// positions are sequence numbers by shard.
type positions map[string]string

// raise moves a shard's position forward.
func (p positions) raise(shard, sequence string) {
	if later(sequence, p[shard]) {
		p[shard] = sequence
	}
}

// reached reports whether each of the positions is at or past those of last.
func (p positions) reached(last positions) bool {
	for shard, sequence := range last {
		if later(sequence, p[shard]) {
			return false
		}
	}
	return true
}

// later reports whether the sequence number a comes after b. They are numbers
// of any length.
func later(a, b string) bool {
	return len(a) > len(b) || len(a) == len(b) && a > b
}
