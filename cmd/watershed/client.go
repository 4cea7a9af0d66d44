package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/watershed-data/watershed/cmd/watershed/internal/stack"
)

// errInterrupted ends a command that a signal stopped.
var errInterrupted = errors.New("interrupted")

const defaultEndpoint = "http://127.0.0.1:4580"

// Environment variables that the client commands read.
const (
	endpointVariable = "WATERSHED_ENDPOINT"
	tokenVariable    = "WATERSHED_TOKEN"
)

// client talks to a running pipeline over HTTP.
type client struct {
	endpoint *url.URL
	stack    *stack.Stack // that the endpoint is of; nil: of none
	token    string       // "": none
	notes    io.Writer    // takes what an answer's format has no place for; nil: it is not told
	http     http.Client
}

// addEndpointFlag adds --endpoint and --stack, and gives a function that makes the
// client once the flags are read.
func addEndpointFlag(cmd *cobra.Command) func() (*client, error) {
	return addEndpointFlags(cmd, "")
}

// addEndpointFlags is addEndpointFlag for a command that stacks may not serve; instead
// then says what to do in its place.
func addEndpointFlags(cmd *cobra.Command, instead string) func() (*client, error) {
	endpoint := cmd.Flags().String("endpoint", "", "URL of the running pipeline (default "+defaultEndpoint+", or "+endpointVariable+")")
	name := cmd.Flags().String("stack", "", "`name` of the pipeline's stack on AWS, in place of --endpoint")
	if instead != "" {
		_ = cmd.Flags().MarkHidden("stack") // it exists
	}
	return func() (*client, error) {
		if *name != "" {
			switch {
			case *endpoint != "":
				return nil, usagef("--stack and --endpoint both say where the pipeline is; give one of them")
			case instead != "":
				return nil, fmt.Errorf("%s does not work with a stack on AWS yet; %s", cmd.Name(), instead)
			}
			return newStackClient(cmd.Context(), *name)
		}
		text := *endpoint
		if text == "" {
			text = os.Getenv(endpointVariable)
		}
		if text == "" {
			text = defaultEndpoint
		}
		return newClient(text, os.Getenv(tokenVariable))
	}
}

func newClient(endpoint, token string) (*client, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usagef("%q is not an endpoint; write a URL such as %s", endpoint, defaultEndpoint)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	return &client{endpoint: u, token: token, http: http.Client{Transport: transport}}, nil
}

// newStackClient makes a client of a stack's API, which signs what it asks.
func newStackClient(ctx context.Context, name string) (*client, error) {
	s, err := stack.Find(ctx, name)
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	if err != nil {
		return nil, err
	}
	return &client{endpoint: s.Endpoint, stack: s, http: http.Client{Transport: s.Transport()}}, nil
}

// do sends a request and gives the body of an answer of 200. The caller closes
// it. There is no timeout: a batch run takes what it takes, and an interrupt
// ends the context.
func (c *client) do(ctx context.Context, method, path string, params url.Values) (io.ReadCloser, error) {
	resp, err := c.ask(ctx, method, path, params)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// ask is do for those who tell 200 from 202.
func (c *client) ask(ctx context.Context, method, path string, params url.Values) (*http.Response, error) {
	u := *c.endpoint
	u.Path += path
	u.RawQuery = params.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", c.endpoint, err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusAccepted {
		c.note(resp.Header)
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refusal(resp)
}

// note tells what the answer's headers say beside its rows.
func (c *client) note(header http.Header) {
	if c.notes == nil {
		return
	}
	if text, err := strconv.Unquote(header.Get("Watershed-Warning")); err == nil {
		fmt.Fprintf(c.notes, "warning: %s\n", text)
	}
	if header.Get("Watershed-Complete") == "false" {
		fmt.Fprintln(c.notes, "warning: the answer is not complete; `watershed status` says why")
	}
	if next := header.Get("Watershed-Next"); next != "" {
		fmt.Fprintf(c.notes, "there are more rows: --cursor %s\n", next)
	}
}

// explain says what to do about a request that got no answer.
func (c *client) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case errors.Is(err, syscall.ECONNREFUSED) && c.stack == nil:
		return fmt.Errorf("nothing listens at %s; start the pipeline with `watershed run pipeline.yaml --data DIR`, or say where it is with --endpoint", c.endpoint)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("asking %s: %w", c.endpoint, err)
}

// refusal turns an answer other than 200 into an error.
func (c *client) refusal(resp *http.Response) error {
	const most = 64 << 10
	body, _ := io.ReadAll(io.LimitReader(resp.Body, most))
	var answer struct {
		Error struct{ Code, Message, Field string }
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error.Message == "" {
		if c.stack != nil {
			return c.gatewayRefusal(resp, body)
		}
		return fmt.Errorf("asking %s: it answered %s, which is not Watershed's way; is this the right endpoint?", c.endpoint, resp.Status)
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s; set %s to the pipeline's token", strings.TrimSuffix(answer.Error.Message, "."), tokenVariable)
	case answer.Error.Field != "" && !strings.Contains(answer.Error.Message, answer.Error.Field):
		return fmt.Errorf("%s: %s", answer.Error.Field, answer.Error.Message)
	}
	return errors.New(answer.Error.Message)
}

// gatewayRefusal turns an answer that API Gateway gave by itself into an error.
func (c *client) gatewayRefusal(resp *http.Response, body []byte) error {
	var answer struct{ Message string }
	_ = json.Unmarshal(body, &answer) // what is no JSON has no message
	said := resp.Status
	if answer.Message != "" {
		said += ", " + strconv.Quote(answer.Message)
	}
	switch {
	case resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("the API of stack %s refuses these credentials (%s): they need execute-api:Invoke on it, and the clock of this machine must be right", c.stack.Name, said)
	case resp.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("the API of stack %s takes no more requests for the moment (%s); try again", c.stack.Name, said)
	case resp.StatusCode >= http.StatusInternalServerError:
		return fmt.Errorf("the API of stack %s has no answer (%s); the log of its query function says why", c.stack.Name, said)
	}
	return fmt.Errorf("the API of stack %s answered %s, which is not Watershed's way", c.stack.Name, said)
}

// getJSON decodes the answer to a GET.
func (c *client) getJSON(ctx context.Context, path string, params url.Values, into any) error {
	body, err := c.do(ctx, http.MethodGet, path, params)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(into); err != nil {
		return c.unreadable(ctx, err)
	}
	return nil
}

// unreadable is an answer that broke off or is none.
func (c *client) unreadable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return fmt.Errorf("reading the answer of %s: %w", c.endpoint, err)
}

// print copies an answer that the server has formatted.
func (c *client) print(ctx context.Context, method, path string, params url.Values, out io.Writer) error {
	body, err := c.do(ctx, method, path, params)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(out, body); err != nil {
		return c.unreadable(ctx, err)
	}
	return nil
}

// formatFlag is the flag --format: one of the forms in which rows are printed.
type formatFlag struct {
	chosen string
	known  []string
}

// addFormatFlag adds --format; the first format is the default.
func addFormatFlag(cmd *cobra.Command, known ...string) *formatFlag {
	f := &formatFlag{known[0], known}
	cmd.Flags().Var(f, "format", strings.Join(known[:len(known)-1], ", ")+" or "+known[len(known)-1])
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp))
	return f
}

func (f *formatFlag) String() string { return f.chosen }

// Type names the flag's kind in help.
func (f *formatFlag) Type() string { return "format" }

// Set takes the flag's value.
func (f *formatFlag) Set(text string) error {
	if !slices.Contains(f.known, text) {
		return fmt.Errorf("write %s", strings.Join(f.known, " or "))
	}
	f.chosen = text
	return nil
}
