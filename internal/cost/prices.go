package cost

import (
	"bytes"
	_ "embed"
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed prices.yaml
var pricesText []byte

// price is what one thing costs.
type price struct {
	Service string
	Unit    string
	Per     float64 // how many of Unit the price is for
	USD     float64
}

// priceTable is prices.yaml.
type priceTable struct {
	Date   string // ISO 8601: the day as of which the table was made
	Region string
	Prices map[string]price
}

// readPrices reads a price table and refuses one with a hole in it.
func readPrices(text []byte) (*priceTable, error) {
	var t priceTable
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&t); err != nil {
		return nil, fmt.Errorf("reading the price table: %w", err)
	}
	if _, err := time.Parse(time.DateOnly, t.Date); err != nil {
		return nil, fmt.Errorf("reading the price table: its date: %w", err)
	}
	if t.Region == "" {
		return nil, fmt.Errorf("reading the price table: it names no region")
	}
	for key, p := range t.Prices {
		if p.Service == "" || p.Unit == "" || p.Per <= 0 || p.USD <= 0 {
			return nil, fmt.Errorf("reading the price table: %s needs service, unit, and a per and usd above 0", key)
		}
	}
	return &t, nil
}
