package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func zipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestSendReadsEveryFormat(t *testing.T) {
	t.Parallel()
	const table = "ProductName,price,item.pieces,note\ntea,1.50,3,\"a, \"\"b\"\"\nc\"\ncoffee,free,,\n,,,\n"
	wantTable := []string{
		`{"ProductName":"tea","price":1.50,"item":{"pieces":3},"note":"a, \"b\"\nc"}`,
		`{"ProductName":"coffee","price":"free"}`,
		`{}`,
	}
	for _, c := range []struct {
		name, content string
		stdin         bool
		args          []string
		want          []string
	}{
		{name: "a.ndjson", content: "{\"a\":1}\n\n{\"a\": 2}\r\n{broken", want: []string{`{"a":1}`, `{"a": 2}`, `{broken`}},
		{name: "a.jsonl", content: "\ufeff{\"a\":1}\n", want: []string{`{"a":1}`}},
		{name: "a.JSON.gz", content: zipped(t, "{\"a\":1}\n{\"a\":2}"), want: []string{`{"a":1}`, `{"a":2}`}},
		{name: "a.csv", content: table, want: wantTable},
		{name: "a.csv", content: "\ufeff" + strings.ReplaceAll(table, "\n", "\r\n"), want: append([]string{strings.Replace(wantTable[0], `\n`, `\u000d\n`, 1)}, wantTable[1:]...)},
		{name: "a.csv.gz", content: zipped(t, table), want: wantTable},
		{name: "a.tsv", content: "price\tProductName\n007\t5\" \xff\n-2e1\t1\n", want: []string{"{\"price\":\"007\",\"ProductName\":\"5\\\" \xff\"}", `{"price":-2e1,"ProductName":"1"}`}},
		{name: "a.tsv", content: "price\tpaid\tProductName\n1\ttrue\ta\\tb\n\\N\tyes\t\"\n", want: []string{`{"paid":"yes","ProductName":"\""}`, `{"price":1,"paid":true,"ProductName":"a\u0009b"}`}},
		{name: "a.dat", content: table, args: []string{"--input", "csv"}, want: wantTable},
		{name: "-", content: "{\"a\":1}\n", stdin: true, want: []string{`{"a":1}`}},
		{name: "-", content: zipped(t, table), stdin: true, args: []string{"--input", "csv"}, want: wantTable},
		{name: "empty.ndjson", content: "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStream(t)
			cmd := process(t.Context(), append([]string{"send", "--endpoint", s.URL, c.name}, c.args...)...)
			if c.stdin {
				cmd.Stdin = strings.NewReader(c.content)
			} else {
				cmd.Args[4] = write(t, c.name, c.content)
			}
			r := finish(t, cmd)
			if r.code != 0 {
				t.Fatalf("exit code %d: %s", r.code, r.err)
			}
			if want := "acknowledged " + events(int64(len(c.want))); !strings.Contains(r.out, want) {
				t.Errorf("it does not say %q: %s", want, r.out)
			}
			slices.Sort(c.want)
			if got := slices.Sorted(maps.Keys(s.stored())); !slices.Equal(got, c.want) {
				t.Errorf("sent %q, want %q", got, c.want)
			}
		})
	}
}

// A producer of csv or tsv events needs no program of its own: a table's fields
// come in the order of the definition's, whatever the file's order is.
func TestSendBringsFieldsIntoTheDefinitionsOrder(t *testing.T) {
	t.Parallel()
	fields := []string{"id", "ProductName", "item.pieces", "paid", "note"}
	columns := []pipelineColumn{
		{Name: "id", Type: "string", From: fields[:1]}, {Name: "product", Type: "string", From: fields[1:2]},
		{Name: "pieces", Type: "int", From: fields[2:3]}, {Name: "paid", Type: "bool", From: fields[3:4]},
	}
	const table = "item.pieces,id,note,ProductName\n3,7,\"a, \"\"b\"\"\r\nc\",tea\n\n,8,,\n"
	wantCSV := []string{"7,tea,3,,\"a, \"\"b\"\"\r\nc\"", "8,,,,"}
	wantTSV := []string{"7\ttea\t3\t\ta, \"b\"\\r\\nc", "8\t\t\t\t"}
	for _, c := range []struct {
		format, name, content string
		args, want            []string
	}{
		{"csv", "a.csv", table, nil, wantCSV},
		{"tsv", "a.csv.gz", zipped(t, table), nil, wantTSV},
		{"csv", "a.tsv", "id\tProductName\titem.pieces\tnote\n7\ttea\t3\ta, \"b\"\\r\\nc\n8\t\\N\t\t\n", nil, wantCSV},
		{"csv", "-", table, nil, wantCSV},
		{"tsv", "-", "note\tid\n\\N\t8\n", nil, wantTSV[1:]},
		{"tsv", "-", table, []string{"--input", "csv"}, wantTSV},
	} {
		t.Run(c.format+" from "+c.name, func(t *testing.T) {
			t.Parallel()
			s := newStream(t)
			s.format, s.fields, s.columns = c.format, fields, columns
			cmd := process(t.Context(), append([]string{"send", "--endpoint", s.URL, "--partition-key", "id", c.name}, c.args...)...)
			if c.name == "-" {
				cmd.Stdin = strings.NewReader(c.content)
			} else {
				cmd.Args[6] = write(t, c.name, c.content)
			}
			r := finish(t, cmd)
			if r.code != 0 || !strings.Contains(r.err, "has no field paid, which column paid is read from") {
				t.Fatalf("exit code %d, or it does not say which field is missing: %s", r.code, r.err)
			}
			if got := slices.Sorted(maps.Keys(s.stored())); !slices.Equal(got, c.want) {
				t.Errorf("sent %q, want %q", got, c.want)
			}
			for _, e := range s.records {
				if string(e.Data[:1]) != e.PartitionKey {
					t.Errorf("%q has the partition key %q, not its id", e.Data, e.PartitionKey)
				}
			}
		})
	}
}

func TestSendRefusesWhatIsNoEventOfThePipeline(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, content, err string }{
		{"a.ndjson", "{}\n", "it holds JSON, and the events of pipeline sales are csv"},
		{"a.csv", "id,city\n1,Rome\n", `a.csv:1: the events of pipeline sales have no field "city"; they have id, name`},
	} {
		s := newStream(t)
		s.format, s.fields = "csv", []string{"id", "name"}
		r := command(t, "send", "--endpoint", s.URL, write(t, c.name, c.content))
		if r.code != 1 || !strings.Contains(r.err, c.err) || len(s.records) > 0 {
			t.Errorf("exit code %d, %d events sent, stderr without %q: %s", r.code, len(s.records), c.err, r.err)
		}
	}
}

func TestSendRefusesWhatIsNotEvents(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", maxEvent)
	for _, c := range []struct{ name, content, err string }{
		{"a.json", "[{\"a\":1},\n{\"a\":2}]", "JSON array"},
		{"a.json", "{\n  \"a\": 1\n}\n", "spans several lines"},
		{"a.csv", "", "must name the fields"},
		{"a.csv", "a,a\n1,2\n", `two fields are named "a"`},
		{"a.csv", "a,,b\n", "field 2 has no name"},
		{"a.csv", "item,item.pieces\n1,2\n", "another field stands"},
		{"a.csv", "a,b\n1,2\n3\n", ":3: the record does not have as many fields"},
		{"a.csv", "a,b\n1,\"2\n", "a.csv:2:3: this is no CSV: here begins a quoted field that does not end"},
		{"a.csv", "a,b\n\n1,\"2\nx\"3\n4,5\n", "a.csv:4:3: this is no CSV: here something follows the end of a quoted field"},
		{"a.csv", "a,b\n1,2\"\n3,4\n", "a.csv:2:4: this is no CSV: here a quote stands within a field"},
		{"a.csv", "a\n2\"\n" + strings.Repeat("12345678\n", maxRecord/8), "a.csv:2:2: this is no CSV: here a quote stands within a field"},
		{"a.csv", "a\n1\n\"" + strings.Repeat("12345678\n", maxRecord/8) + "\"\n2\n", "a.csv:3: the event is larger than 1 MiB"},
		{"a.csv", strings.Repeat("12345678,", maxRecord/8), "larger than 4 MiB"},
		{"a.tsv", "a\tb\n1\tC:\\Users\n", `a.tsv:2:5: this is no TSV: here stands a backslash that begins none of`},
		{"a.ndjson", "{}\n\n" + big + "\n{}\n", "a.ndjson:3: the event is larger than 1 MiB"},
		{"a.csv", "a\n" + big + "\n", "a.csv:2: the event is larger than 1 MiB"},
		{"a.ndjson.gz", "{}\n", "gzip"},
	} {
		t.Run(c.name+" "+c.err, func(t *testing.T) {
			t.Parallel()
			s := newStream(t)
			r := command(t, "send", "--endpoint", s.URL, write(t, c.name, c.content))
			if r.code != 1 || !strings.Contains(r.err, c.err) {
				t.Errorf("exit code %d, stderr without %q: %s", r.code, c.err, r.err)
			}
			if want := "acknowledged " + events(int64(len(s.records))); !strings.Contains(r.out, want) {
				t.Errorf("it does not say %q: %s", want, r.out)
			}
		})
	}
}

func TestSendLeavesOutWhatIsTooLargeIfAsked(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	file := write(t, "a.ndjson", "{}\n"+strings.Repeat("x", 3*maxEvent)+"\n"+strings.Repeat("y", maxEvent-20)+"\n")
	r := command(t, "send", "--skip-oversized", "--endpoint", s.URL, file)
	if r.code != 0 || !strings.Contains(r.out, "acknowledged 2 events") || !strings.Contains(r.out, "left out 1 event over 1 MiB: "+file+":2") {
		t.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
	}
	if len(s.stored()) != 2 {
		t.Errorf("stored %d events, want 2", len(s.stored()))
	}
}

func TestSendTriesAgainWhatIsRefused(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	s.refuse = func(n int, _ http.ResponseWriter, entries []entry) *answer {
		switch n {
		case 1:
			return &answer{failed: map[int]string{0: "ProvisionedThroughputExceededException", len(entries) - 1: "InternalFailure"}}
		case 2:
			return &answer{status: http.StatusBadRequest, code: "ProvisionedThroughputExceededException"}
		}
		return nil
	}
	r := command(t, "send", "--endpoint", s.URL, write(t, "a.ndjson", ndjson(1700)))
	if r.code != 0 || !strings.Contains(r.out, "acknowledged 1,700 events") || !strings.Contains(r.out, "again that the pipeline had not taken") {
		t.Fatalf("exit code %d: %s%s", r.code, r.out, r.err)
	}
	for text, n := range s.stored() {
		if n != 1 {
			t.Errorf("%s is stored %d times", text, n)
		}
	}
	if len(s.records) != 1700 {
		t.Errorf("%d events are stored, want 1700", len(s.records))
	}
}

// Without it, a user counts events twice and nobody says so.
func TestSendSaysWhatMayBeStoredTwice(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	s.refuse = func(n int, _ http.ResponseWriter, _ []entry) *answer { return &answer{drop: n == 1} }
	r := command(t, "send", "--endpoint", s.URL, write(t, "a.ndjson", ndjson(30)))
	twice := 0
	for _, n := range s.stored() {
		twice += n - 1
	}
	if r.code != 0 || twice == 0 || !strings.Contains(r.out, "acknowledged 30 events") || !strings.Contains(r.out, "sent "+events(int64(twice))+" again because an answer was lost") {
		t.Errorf("%d events are stored twice; exit code %d: %s%s", twice, r.code, r.out, r.err)
	}
}

func TestSendSaysWhichLinesAreSafeAfterAFailure(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	var stored ranges // how lines are put together in batches is the machine's
	s.refuse = func(_ int, _ http.ResponseWriter, entries []entry) *answer {
		if slices.ContainsFunc(entries, func(e entry) bool { return lineOf(t, e) == 700 }) {
			return &answer{status: http.StatusBadRequest, code: "ValidationException"}
		}
		for _, e := range entries {
			stored.add(lineOf(t, e), lineOf(t, e))
		}
		return nil
	}
	file := write(t, "a.ndjson", ndjson(1000))
	r := command(t, "send", "--endpoint", s.URL, file)
	if r.code != 1 || !strings.Contains(r.err, "ValidationException: it is so") {
		t.Fatalf("exit code %d: %s", r.code, r.err)
	}
	want := "acknowledged: nothing\n"
	if len(stored) > 0 {
		want = "acknowledged: " + file + " " + stored.String() + "\n"
	}
	if want += "nothing else was stored\n"; !strings.Contains(r.out, want) {
		t.Errorf("it does not say %q:\n%s", want, r.out)
	}
}

func TestSendSaysWhatIsUnknownAfterAnInterrupt(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	cmd := process(t.Context(), "send", "--endpoint", s.URL, "-")
	events, err := cmd.StdinPipe() // it stays open: the command waits for more when it is interrupted
	if err != nil {
		t.Fatal(err)
	}
	var stored, unknown ranges // how lines are put together in batches is the machine's
	s.refuse = func(n int, _ http.ResponseWriter, entries []entry) *answer {
		of := &stored
		if n == 2 || unknown != nil && lineOf(t, entries[0]) == unknown[0].from {
			of = &unknown
		}
		for _, e := range entries {
			of.add(lineOf(t, e), lineOf(t, e))
		}
		if of == &stored {
			return nil
		}
		_ = cmd.Process.Signal(os.Interrupt)
		return &answer{status: http.StatusInternalServerError, code: "InternalFailure"}
	}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(events, ndjson(1000)); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(errOut.String(), "interrupted") {
		t.Fatalf("exit code %d: %s%s", code, &out, &errOut)
	}
	for _, want := range []string{
		"acknowledged " + plural(int64(len(s.records)), "event"),
		"acknowledged: standard input " + stored.String(),
		"sent without an answer, may be stored: standard input " + unknown.String(),
		"nothing else was stored",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &out)
		}
	}
}

// lineOf gives the line that ndjson put an event on.
func lineOf(t *testing.T, e entry) int {
	t.Helper()
	var event struct{ N int }
	if err := json.Unmarshal(e.Data, &event); err != nil {
		t.Error(err)
	}
	return event.N + 1
}

func TestSendGivesUpInTheEnd(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	s.refuse = func(int, http.ResponseWriter, []entry) *answer {
		return &answer{failed: map[int]string{0: "ProvisionedThroughputExceededException"}}
	}
	r := command(t, "send", "--retry-for", "1ms", "--endpoint", s.URL, write(t, "a.ndjson", ndjson(1)))
	if r.code != 1 || !strings.Contains(r.err, "gave up after trying for 1ms: ProvisionedThroughputExceededException: slow down") || !strings.Contains(r.out, "acknowledged: nothing\nnothing else was stored") {
		t.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
	}
}

func TestSendChoosesPartitionKeys(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	r := command(t, "send", "--partition-key", "product", "--endpoint", s.URL,
		write(t, "a.csv", "ProductName,price\ntea,1\n,2\n"),
		write(t, "a.ndjson", "{\"ProductName\":\"caf\\u00e9\"}\n{\"ProductName\":7}\n{\"ProductName\":\""+strings.Repeat("é", 300)+"\"}\n{}\n{\n\n"))
	if r.code != 0 {
		t.Fatalf("exit code %d: %s", r.code, r.err)
	}
	if !strings.Contains(r.err, "has no field item.pieces, which column pieces is read from") {
		t.Errorf("it does not say which column the table lacks: %s", r.err)
	}
	keys := map[string]bool{}
	for _, e := range s.records {
		keys[e.PartitionKey] = true
	}
	for _, want := range []string{"tea", "café", "7", strings.Repeat("é", 256)} {
		if !keys[want] {
			t.Errorf("no event has the partition key %q", want)
		}
	}
	if len(keys) != 7 || keys[""] {
		t.Errorf("events without the column need keys of their own: %q", slices.Sorted(maps.Keys(keys)))
	}
	r = command(t, "send", "--partition-key", "prodct", "--endpoint", s.URL, write(t, "a.ndjson", "{}\n"))
	if r.code != 1 || !strings.Contains(r.err, "they have product, price, pieces, paid") {
		t.Errorf("a column that does not exist: exit code %d: %s", r.code, r.err)
	}
}

func TestSendKeepsToTheRate(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	start := time.Now()
	r := command(t, "send", "--rate", "40", "--endpoint", s.URL, write(t, "a.ndjson", ndjson(13)))
	if took, least := time.Since(start), 12*time.Second/40; r.code != 0 || took < least {
		t.Errorf("exit code %d; 13 events at 40 a second took %s, less than %s: %s", r.code, took, least, r.err)
	}
}

func TestTheTokenIsSent(t *testing.T) {
	t.Parallel()
	s := newStream(t)
	cmd := process(t.Context(), "send", "--endpoint", s.URL, write(t, "a.ndjson", "{}\n"))
	cmd.Env = append(cmd.Env, "WATERSHED_TOKEN=secret")
	if r := finish(t, cmd); r.code != 0 || !slices.Equal(s.tokens, []string{"Bearer secret"}) {
		t.Errorf("exit code %d, tokens %q: %s", r.code, s.tokens, r.err)
	}
}
