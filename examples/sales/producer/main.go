// Command producer writes sales events, one JSON object a line:
//
//	go run ./examples/sales/producer -n 10000 > sales.ndjson
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/watershed-data/watershed/examples/sales"
)

func main() {
	n := flag.Int("n", 10000, "number of events")
	seed := flag.Uint64("seed", 1, "equal seeds make equal events")
	from := flag.String("from", sales.Start.Format(time.DateOnly), "the day of the first sale")
	flag.Parse()
	start, err := time.Parse(time.DateOnly, *from)
	if flag.NArg() > 0 || *n < 0 || err != nil {
		fmt.Fprintln(os.Stderr, "usage: producer [-n EVENTS] [-seed SEED] [-from 2014-11-01] > sales.ndjson")
		os.Exit(2)
	}
	if err := write(os.Stdout, *n, sales.NewFrom(*seed, start)); err != nil {
		fmt.Fprintf(os.Stderr, "writing events: %v\n", err)
		os.Exit(1)
	}
}

func write(to io.Writer, n int, producer *sales.Producer) error {
	out := bufio.NewWriter(to)
	for range n {
		if _, err := out.Write(append(producer.Next(), '\n')); err != nil {
			return err
		}
	}
	return out.Flush()
}
