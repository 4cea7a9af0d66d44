// Package sales makes the events of the whitepaper's producer: sales of a few
// products in a few places, with the dirt that real tills send. It knows
// nothing of pipelines; it writes bytes.
package sales

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Start is when the sales of New begin.
var Start = time.Date(2014, time.November, 1, 0, 0, 0, 0, time.UTC)

// Of a thousand events, about this many are dirty in each way.
const (
	negativePrices = 4
	testSales      = 5
	missingPlaces  = 5
	truncatedLines = 2
	untidyNames    = 10
)

// meanGap is the mean time between two sales: 10,000 of them take about two days.
const meanGap = 17 * time.Second

// mostLate is how late, at most, a sale is sent after one that happened later.
const mostLate = 3 * time.Minute

var zipcodes = []int{
	95126, 95110, 94105, 94110, 94601, 90012, 90210, 98101, 98109, 97204,
	10001, 10012, 11201, 11215, 60601, 60614, 77002, 78701, 80202, 33130,
}

// prices are the products' list prices in whole dollars; a sale is up to four
// dollars dearer, by place and season.
var prices = []int{12, 14, 25, 8, 60, 33, 19, 5, 110, 41}

// Producer makes one sale after the other. Equal seeds make equal events, on
// every machine. It is not safe for concurrent use.
type Producer struct {
	random *rand.Rand
	now    time.Time
}

// New makes a producer of sales from Start on.
func New(seed uint64) *Producer {
	return NewFrom(seed, Start)
}

// NewFrom makes a producer of sales from a time on.
func NewFrom(seed uint64, start time.Time) *Producer {
	return &Producer{random: rand.New(rand.NewPCG(seed, 0)), now: start.UTC()}
}

// Next gives the next event: one JSON object without a line end. A truncated
// event has lost its tail.
func (p *Producer) Next() []byte {
	p.now = p.now.Add(time.Duration(p.random.Int64N(int64(2 * meanGap))).Truncate(time.Millisecond))
	n := p.random.IntN(len(prices))
	var (
		zipcode = `"zipcode":` + strconv.Itoa(zipcodes[p.random.IntN(len(zipcodes))]) + `,`
		product = "product" + strconv.Itoa(n+1)
		price   = prices[n] + p.random.IntN(5)
		soldAt  = p.now
		sent    = 100 // per cent of the line
	)
	if p.random.IntN(20) == 0 {
		soldAt = soldAt.Add(-time.Duration(p.random.Int64N(int64(mostLate))).Truncate(time.Millisecond))
	}
	switch dirt := p.random.IntN(1000); {
	case below(&dirt, negativePrices):
		price = -price
	case below(&dirt, testSales):
		product = "test"
	case below(&dirt, missingPlaces):
		zipcode = ""
	case below(&dirt, truncatedLines):
		sent = 20 + p.random.IntN(70)
	case below(&dirt, untidyNames):
		product = " " + strings.ToUpper(product[:1]) + product[1:]
	}
	line := fmt.Appendf(nil, `{%s"ProductName":"%s","price":%d,"timestamp":"%s"}`,
		zipcode, product, price, soldAt.Format("2006-01-02 15:04:05.000"))
	return line[:len(line)*sent/100]
}

// below reports whether *n is below limit, and takes limit off it if not: a
// chain of calls divides a range into parts.
func below(n *int, limit int) bool {
	if *n < limit {
		return true
	}
	*n -= limit
	return false
}
