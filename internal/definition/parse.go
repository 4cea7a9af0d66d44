package definition

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are the same on a machine that has none

	"go.yaml.in/yaml/v3"

	"github.com/watershed-data/watershed/internal/column"
)

// Load reads a definition from a file. A definition with problems is Errors.
func Load(path string) (*Definition, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the definition: %w", err)
	}
	return Parse(path, text)
}

// readFile reads no more of a file than shows that it is too large.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSize+16))
}

// Parse reads a definition from its text; file is its name in messages. A
// definition with problems is Errors: all of them, in the order of the text.
func Parse(file string, text []byte) (*Definition, error) {
	c := &checker{
		source: source{file: file},
		def:    &Definition{File: file, Text: text, Zone: time.UTC},
		types:  map[string]column.Type{},
		broken: map[string]bool{},
	}
	if root := c.readYAML(text); root != nil {
		c.definition(root)
	}
	if len(c.problems) > 0 {
		return nil, c.problems.sorted()
	}
	c.def.Generation = generation(c.def)
	return c.def, nil
}

const topExample = "pipeline:, events: and views:, each on a line of its own"

func (c *checker) definition(root *yaml.Node) {
	top := c.fields(entry{key: root, value: root}, "the definition", topExample,
		"pipeline", "zone", "events", "clean", "lookups", "views", "batch")
	if root.Kind != yaml.MappingNode {
		return
	}
	if e, ok := c.need(top, "pipeline", root, "the definition", "pipeline: sales"); ok {
		c.pipeline(e)
	}
	if e, ok := top["zone"]; ok {
		c.def.Zone = c.zone(e)
	}
	events := map[string]entry{}
	if e, ok := c.need(top, "events", root, "the definition", "events: with format and columns"); ok {
		events = c.events(e)
	}
	if e, ok := top["clean"]; ok {
		c.clean(e)
	}
	c.eventTime(events)
	c.eventID(events)
	if e, ok := c.need(top, "views", root, "the definition", "views: with at least one view"); ok {
		c.views(e)
	}
	if e, ok := top["lookups"]; ok {
		c.lookups(e)
	}
	if e, ok := top["batch"]; ok {
		c.batch(e)
	}
}

// need gives an entry that must be there.
func (c *checker) need(fields map[string]entry, name string, parent *yaml.Node, what, example string) (entry, bool) {
	e, ok := fields[name]
	if !ok && parent.Kind == yaml.MappingNode {
		c.fail(parent, "add "+example, "%s has no %s", what, name)
	}
	return e, ok
}

var pipelineName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

func (c *checker) pipeline(e entry) {
	name, ok := c.text(e, "the pipeline's name", "pipeline: sales")
	if ok && !pipelineName.MatchString(name) {
		c.fail(e.value, "use letters, digits, _ . and -, at most 128 in all", "%q is not a pipeline name, which is also the stream's", name)
	}
	c.def.Pipeline = name
}

// zone reads an IANA zone; UTC after a problem.
func (c *checker) zone(e entry) *time.Location {
	const example = "an IANA name such as UTC or America/New_York"
	name, ok := c.text(e, "zone", example)
	if !ok {
		return time.UTC
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		c.fail(e.value, "write "+example, "%q is not a time zone", name)
		return time.UTC
	}
	return zone
}

// batch reads when batch runs start.
func (c *checker) batch(e entry) {
	const example = "batch: {every: 1h} or batch: continuous"
	if e.value.Kind == yaml.ScalarNode && e.value.Value == "continuous" {
		c.def.Batch.Continuous = true
		return
	}
	fields := c.fields(e, "batch", example, "every")
	every, ok := c.need(fields, "every", e.value, "batch", "every: 1h")
	if !ok {
		return
	}
	if text, ok := c.text(every, "batch.every", "every: 1h"); ok {
		d, err := parseDuration(text, maxInterval)
		if err != nil {
			c.fail(every.value, "write a whole number and s, m, h or d, such as 15m or 1h, from 1s to 365d", "%q is not a duration", text)
		}
		c.def.Batch.Every = d
	}
}

var durationUnits = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

// maxInterval bounds the time between batch runs.
const maxInterval = 365 * 24 * time.Hour

// parseDuration reads a whole number and a unit, from 1s to the most.
func parseDuration(text string, most time.Duration) (time.Duration, error) {
	if len(text) > 1 && !strings.ContainsAny(text, "+-") {
		unit := durationUnits[text[len(text)-1]]
		n, err := strconv.Atoi(text[:len(text)-1])
		if err == nil && unit > 0 && n > 0 && n <= int(most/unit) {
			return time.Duration(n) * unit, nil
		}
	}
	return 0, fmt.Errorf("%q is not a duration", text)
}
