package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

func newSendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "send FILE...",
		Short: "Send events from files to the pipeline's stream",
		Long: `send puts the events of files into the pipeline's stream, as any Kinesis producer
would. A file's name tells its format; .gz may follow it, and - is standard input:

  .ndjson .jsonl .json   one event a line, sent as it is
  .csv .tsv              the first line names the fields; each further record
                         becomes an event of the pipeline's format. In JSON an
                         empty field is left out, and a field is a string, unless
                         the pipeline's column wants a number or true or false and
                         the field is one. In csv and tsv the fields are brought
                         into the order of the definition's; those that the file
                         lacks are empty

Blank lines are no events. CSV is read as RFC 4180 says; in TSV \t \n \r \\ stand
for a tab, line ends and a backslash, and \N for an empty field. What breaks these
rules stops send with its line and column.

An event counts as sent once the pipeline has acknowledged it, which means that
it is durable. What is refused for now is tried again until --retry-for is over.
If the answer to a request is lost, its events are sent again: they may then be
stored twice, and send says how many. In a pipeline with an event id the second
one of each is counted as a duplicate. Events are sent in parallel, so their order
in the stream is not the file's.

If send ends early, by an error or an interrupt, it says exactly which lines were
acknowledged.`,
		Example: `  watershed send sales.ndjson
  watershed send flights-*.csv.gz --partition-key tailnum
  producer | watershed send -
  watershed send sales.csv --rate 100            # 100 events a second`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("send needs FILE, the events; - is standard input")
			}
			return nil
		},
	}
	connect := addEndpointFlag(cmd)
	flags := cmd.Flags()
	rate := flags.Float64("rate", 0, "send at most this `number` of events a second")
	keyColumn := flags.String("partition-key", "", "the `column` whose value is the partition key (default: the pipeline's event id, else a random key)")
	form := flags.String("input", "", "`format` of files whose names do not tell: ndjson, csv or tsv (default: of standard input what the pipeline takes)")
	skip := flags.Bool("skip-oversized", false, "leave out events over 1 MiB and say which, instead of stopping")
	patience := flags.Duration("retry-for", time.Minute, "the `time` for which to try again what is refused for the moment, or gets no answer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *rate < 0 || flags.Changed("rate") && *rate == 0 {
			return usagef("--rate must be above 0")
		}
		files, err := inputs(args, *form)
		if err != nil {
			return err
		}
		c, err := connect()
		if err != nil {
			return err
		}
		pipeline, err := c.pipeline(cmd.Context())
		if err != nil {
			return err
		}
		if err := pipeline.knows(*keyColumn); err != nil {
			return err
		}
		if *keyColumn == "" {
			*keyColumn = pipeline.ID // a retry of an event then has its key, and is found to be a duplicate
		}
		s := &sending{
			pipeline:  pipeline,
			keyColumn: *keyColumn,
			skip:      *skip,
			stdin:     cmd.InOrStdin(),
			notes:     cmd.ErrOrStderr(),
			done:      newProgress(cmd.ErrOrStderr(), total(files)),
			sender:    newSender(c, c.stream(pipeline), *rate, *patience),
		}
		return s.run(cmd.Context(), files, cmd.OutOrStdout())
	}
	return cmd
}

// sending is one run of the command.
type sending struct {
	pipeline  *pipeline
	keyColumn string
	skip      bool
	stdin     io.Reader
	notes     io.Writer
	done      *progress
	sender    *sender

	mu      sync.Mutex
	skipped []string // places of events that were left out
	blank   int      // lines
}

// run sends the files' events and says what became of them.
func (s *sending) run(ctx context.Context, files []input, out io.Writer) error {
	start := time.Now()
	s.done.start(&s.sender.acknowledged)
	s.sender.start(ctx)
	read := make(chan error, 1)
	go func() { read <- s.files(ctx, files) }()
	var err error
	select {
	case err = <-read:
	case <-ctx.Done(): // the reading may wait for standard input: it is left behind
	case <-s.sender.stopped:
	}
	if sendErr := s.sender.finish(); sendErr != nil {
		err = sendErr // the reading stopped for it
	}
	s.done.stop()
	if ctx.Err() != nil {
		err = errInterrupted
	}
	s.report(out, time.Since(start), err)
	return err
}

func (s *sending) files(ctx context.Context, files []input) error {
	for i := range files {
		if err := s.file(ctx, &files[i]); err != nil {
			return err
		}
	}
	return nil
}

// file sends one file's events.
func (s *sending) file(ctx context.Context, in *input) error {
	events, err := in.open(s.stdin, s.pipeline, s.keyColumn, s.done)
	if err != nil {
		return err
	}
	defer events.close()
	for _, note := range events.notes {
		fmt.Fprintf(s.notes, "watershed: note: %s\n", note)
	}
	for {
		e, err := events.next()
		if errors.Is(err, io.EOF) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.blank += events.blank
			return nil
		}
		var oversized *oversizedError
		if errors.As(err, &oversized) && s.skip {
			s.mu.Lock()
			s.skipped = append(s.skipped, oversized.place)
			s.mu.Unlock()
			continue
		}
		if err != nil {
			return err
		}
		if err := s.sender.send(ctx, e); err != nil {
			return err
		}
	}
}

// report prints the counts, and after a failure which lines are safe.
func (s *sending) report(out io.Writer, took time.Duration, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acked := s.sender.acknowledged.Load()
	rate := float64(acked) / max(took.Seconds(), 1e-9)
	fmt.Fprintf(out, "acknowledged %s in %s (%s/s)\n", events(acked), took.Round(time.Millisecond), grouped(int64(rate)))
	if s.blank > 0 {
		fmt.Fprintf(out, "passed over %s\n", plural(int64(s.blank), "blank line"))
	}
	if n := s.sender.retried.Load(); n > 0 {
		fmt.Fprintf(out, "sent %s again that the pipeline had not taken at first\n", events(n))
	}
	if n := s.sender.resent.Load(); n > 0 {
		fmt.Fprintf(out, "sent %s again because an answer was lost: each of them may be stored twice\n", events(n))
	}
	if n := len(s.skipped); n > 0 {
		const most = 20
		fmt.Fprintf(out, "left out %s over 1 MiB: %s\n", events(int64(n)), strings.Join(s.skipped[:min(n, most)], ", "))
		if n > most {
			fmt.Fprintf(out, "  and %d more\n", n-most)
		}
	}
	if failure == nil {
		return
	}
	for _, line := range s.sender.account() {
		fmt.Fprintln(out, line)
	}
}

func events(n int64) string { return plural(n, "event") }

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}

// grouped writes a number with commas between its thousands.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// total is the size of all files in bytes, 0 if it is unknown.
func total(files []input) int64 {
	var sum int64
	for _, f := range files {
		if f.size < 0 {
			return 0
		}
		sum += f.size
	}
	return sum
}

// inputs says how to read each file. A file that cannot be read is an error
// before anything is sent.
func inputs(names []string, form string) ([]input, error) {
	switch form {
	case "", "ndjson", "csv", "tsv":
	default:
		return nil, usagef("--input %s: write ndjson, csv or tsv", form)
	}
	var files []input
	for i, name := range names {
		in := input{index: i, name: name, size: -1, form: form}
		if name == "-" {
			in.name = "standard input"
			in.standard = true
			files = append(files, in)
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("reading events: %w", err)
		}
		if info.IsDir() {
			return nil, fmt.Errorf("reading events: %s is a directory; name its files", name)
		}
		if info.Mode().IsRegular() {
			in.size = info.Size()
		}
		base, zipped := strings.CutSuffix(strings.ToLower(name), ".gz")
		in.zipped = zipped
		for suffix, known := range map[string]string{".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson", ".csv": "csv", ".tsv": "tsv"} {
			if strings.HasSuffix(base, suffix) {
				in.form = known
			}
		}
		if in.form == "" {
			return nil, fmt.Errorf("reading events: the name %s does not tell the format; say --input ndjson, csv or tsv", name)
		}
		files = append(files, in)
	}
	return files, nil
}
