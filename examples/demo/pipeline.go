package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/watershed-data/watershed/examples/flights"
	"github.com/watershed-data/watershed/examples/sales"
)

// pipeline is one of the demo's two pipelines, while it runs.
type pipeline struct {
	scenario
	events  [][]byte
	address string
	data    string // its data directory
	process *process
	client  *client
	sender  *sender
}

// scenario is what the demo does with a pipeline.
type scenario struct {
	name       string
	about      string
	definition string // path of its pipeline.yaml
	make       func() ([][]byte, error)
	rate       int  // events per second
	kill       bool // SIGKILL it in the middle of the load
	question   question
}

// question is what the demo asks at the end, of the pipeline and by hand.
type question struct {
	text     string
	view     string
	options  url.Values // of the query
	group    string     // the dimension that tells the rows apart
	measures []string
	byHand   func() (add func([]byte), result func() handmade)
}

var scenarios = []scenario{
	{
		name:       "sales",
		about:      "the whitepaper's producer",
		definition: "examples/sales/pipeline.yaml",
		make:       makeSales,
		rate:       2000,
		kill:       true,
		question: question{
			text: "What sold on 1 November 2014?",
			view: "sales_by_product",
			options: url.Values{
				"by": {"product"}, "measures": {"sales,revenue"}, "every": {"1d"},
				"from": {"2014-11-01"}, "to": {"2014-11-02"},
			},
			group:    "product",
			measures: []string{"sales", "revenue"},
			byHand:   func() (func([]byte), func() handmade) { return salesByHand("2014-11-01") },
		},
	},
	{
		name:       "flights",
		about:      "January 2013 from New York's airports",
		definition: "examples/flights/pipeline.yaml",
		make:       flights.Events,
		rate:       4000,
		question: question{
			text: "Who flew on 30 January 2013, the worst day of the month?",
			view: "delays_by_carrier",
			options: url.Values{
				"by": {"carrier"}, "measures": {"flights,cancelled,worst"}, "every": {"1d"},
				"from": {"2013-01-30"}, "to": {"2013-01-31"},
			},
			group:    "carrier",
			measures: []string{"flights", "cancelled", "worst"},
			byHand:   func() (func([]byte), func() handmade) { return flightsByHand("2013-01-30") },
		},
	},
}

// salesEvents is how many sales the demo makes.
const salesEvents = 10_000

func makeSales() ([][]byte, error) {
	producer := sales.New(1)
	events := make([][]byte, salesEvents)
	for i := range events {
		events[i] = producer.Next()
	}
	return events, nil
}

// start makes the pipeline's events and runs `watershed run` for it.
func (s scenario) start(ctx context.Context, watershed, dir string) (*pipeline, string, error) {
	events, err := s.make()
	if err != nil {
		return nil, "", fmt.Errorf("making events of %s: %w", s.name, err)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, "", fmt.Errorf("finding a free port: %w", err)
	}
	p := &pipeline{scenario: s, events: events, address: address, data: filepath.Join(dir, s.name)}
	p.process = &process{args: []string{watershed, "run", s.definition, "--data", p.data, "--listen", address}}
	p.client = &client{endpoint: "http://" + address}
	p.sender = newSender("http://"+address, s.name)
	ready, err := p.process.start(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("starting %s: %w", s.name, err)
	}
	return p, ready, nil
}
