package rowlogic

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/watershed-data/watershed/internal/column"
	"github.com/watershed-data/watershed/internal/definition"
	"github.com/watershed-data/watershed/internal/delimited"
	"github.com/watershed-data/watershed/internal/protocol"
	"github.com/watershed-data/watershed/internal/view"
)

// Version is the version of row logic that is stored with every row: of two
// rows of one position, the one of the higher version is kept.
const Version = definition.RowLogicVersion

// Logic computes the rows of one definition. It is never changed after New, so
// any number of goroutines may share it.
type Logic struct {
	zone     *time.Location
	columns  []definition.Column
	index    map[string]int // column name -> index in columns
	sources  []source       // the columns that events carry
	steps    []step
	needed   []int  // columns that must not be null after clean, in the order they are checked
	time     int    // the event-time column; -1: none
	id       int    // the event-id column; -1: none
	idType   string // its type, as the definition writes it
	grains   []definition.Grain
	scanners sync.Pool

	formatReasons []string // why an event can be none of the format

	fences  []fence  // in the order of columns
	choices []choice // by the names of views
	inputs  []input  // of measures
}

// New prepares a definition's row logic. A definition that definition.Parse made
// is never refused.
func New(def *definition.Definition) (*Logic, error) {
	l := &Logic{zone: def.Zone, columns: def.Columns, index: make(map[string]int, len(def.Columns)), time: -1}
	if l.zone == nil {
		l.zone = time.UTC
	}
	for i, c := range def.Columns {
		l.index[c.Name] = i
	}
	for _, c := range def.Events.Columns {
		at, ok := l.index[c.Name]
		if !ok || len(c.From) == 0 {
			return nil, fmt.Errorf("preparing row logic: column %s is not a column of the events", c.Name)
		}
		l.sources = append(l.sources, newSource(c, at))
	}
	if err := l.prepareScanners(def.Events); err != nil {
		return nil, err
	}
	if err := l.prepareSteps(def.Clean); err != nil {
		return nil, err
	}
	if err := l.prepareID(def); err != nil {
		return nil, err
	}
	if err := l.prepareInputs(def); err != nil {
		return nil, err
	}
	return l, l.prepareTime(def)
}

// prepareScanners chooses what reads the events' format.
func (l *Logic) prepareScanners(events definition.Events) (err error) {
	if format, ok := delimited.ParseFormat(events.Format); ok {
		l.formatReasons = []string{reasonBroken(format), reasonFields}
		l.scanners.New, err = newTextScanners(events, format)
		return err
	}
	if events.Format != "json" {
		return fmt.Errorf("preparing row logic: %q is not a format of events", events.Format)
	}
	froms := make([][]string, len(events.Columns))
	for i, c := range events.Columns {
		froms[i] = c.From
	}
	root := newPath(froms)
	l.formatReasons = []string{reasonNotJSON, reasonNotObject, reasonDuplicate, reasonDeep}
	l.scanners.New = func() any { return scanner(&jsonScanner{root: root}) }
	return nil
}

// prepareTime finds the grains in use and which columns must not be null.
func (l *Logic) prepareTime(def *definition.Definition) error {
	for i, c := range l.columns {
		if !c.Optional && !c.Derived {
			l.needed = append(l.needed, i)
		}
	}
	seen := map[definition.Grain]bool{}
	timed := false
	for _, v := range def.AllViews() {
		for _, g := range v.Grains() {
			if !view.Known(g) {
				return fmt.Errorf("preparing row logic: view %s: %q is not a grain", v.Name, g)
			}
			if !seen[g] {
				seen[g] = true
				l.grains = append(l.grains, g)
			}
		}
		timed = timed || v.Every != definition.None
	}
	if def.Events.Time == "" {
		if timed {
			return errors.New("preparing row logic: views have time buckets, but no column is the event time")
		}
		return nil
	}
	at, ok := l.index[def.Events.Time]
	if !ok || l.columns[at].Type.Kind != column.Timestamp {
		return fmt.Errorf("preparing row logic: the event time %s is not a timestamp column", def.Events.Time)
	}
	l.time = at
	if c := l.columns[at]; timed && (c.Optional || c.Derived) {
		l.needed = append(l.needed, at)
	}
	return nil
}

// Run computes the rows of a batch of one shard's events. It never fails: what
// is wrong with an event is its row's reason. A row depends on its event alone,
// so any split of the events gives the same rows. Batch.Events is the slice
// given; nothing else of the batch refers to the events' bytes. Run may be
// called by several goroutines at once.
func (l *Logic) Run(shard string, events []protocol.Event) *Batch {
	b := l.judge(shard, events)
	b.nullRejected()
	l.fillTimes(b)
	l.fillInputs(b)
	return b
}

// judge computes the rows but for what follows from their outcomes.
func (l *Logic) judge(shard string, events []protocol.Event) *Batch {
	b := l.newBatch(shard, events)
	l.decode(b)
	l.identify(b)
	for i := range l.steps {
		l.steps[i].run(b)
	}
	l.checkNeeded(b)
	l.checkFences(b)
	l.choose(b)
	return b
}

func (l *Logic) newBatch(shard string, events []protocol.Event) *Batch {
	n := len(events)
	b := &Batch{
		Shard:   shard,
		Events:  events,
		Columns: make([]*column.Vector, len(l.columns)),
		Outcome: make([]Outcome, n),
		Reason:  make([]string, n),
		Detail:  make([]string, n),
		Hash:    make([]uint64, n),
		Times:   make(map[definition.Grain]*column.Vector, len(l.grains)),
		Inputs:  map[string]*column.Vector{},
		index:   l.index,
	}
	for i, c := range l.columns {
		b.Columns[i] = column.NewVector(c.Type, n)
	}
	for i := range b.Outcome {
		b.Outcome[i] = Accepted
	}
	return b
}

// decode hashes the events and reads their columns.
func (l *Logic) decode(b *Batch) {
	s := l.scanners.Get().(scanner)
	fields := make([]field, len(l.sources))
	for i := range b.Events {
		e := &b.Events[i]
		b.Hash[i] = protocol.Hash(b.Shard, e)
		if e.Erased != nil {
			b.Outcome[i] = Erased
			continue
		}
		if e.Aggregated && e.Stray {
			b.reject(i, wrongShard(e))
			continue
		}
		p := s.scan(e.Data, fields)
		if p == nil {
			p = l.readFields(b, i, fields)
		}
		if p != nil {
			b.reject(i, *p)
		}
	}
	s.release()
	l.scanners.Put(s)
}

// readFields turns the fields of an event into row i, and gives the first
// problem. The fields behind it are read as well, for EventTimes.
func (l *Logic) readFields(b *Batch, i int, fields []field) (first *problem) {
	for k := range fields {
		if fields[k].kind == absent {
			continue
		}
		s := &l.sources[k]
		value, p := s.read(&fields[k])
		if p == nil {
			b.Columns[s.column].Set(i, value)
		} else if first == nil {
			first = p
		}
	}
	return first
}

// checkNeeded rejects accepted rows in which a column is null that must not be.
func (l *Logic) checkNeeded(b *Batch) {
	for _, c := range l.needed {
		for i, null := range b.Columns[c].Nulls {
			if null && b.Accepted(i) {
				b.reject(i, l.missing(c))
			}
		}
	}
}

func (l *Logic) missing(c int) problem {
	name := l.columns[c].Name
	detail := name + " is null after clean"
	for _, s := range l.sources {
		if s.column == c && s.path != name {
			detail = fmt.Sprintf("%s, read from %s, is null after clean", name, s.shown())
		}
	}
	return problem{reasonMissing(name), detail}
}

// nullRejected nulls all columns of rejected rows; see Batch.
func (b *Batch) nullRejected() {
	for i, o := range b.Outcome {
		if o != Rejected && o != Erased {
			continue
		}
		for _, c := range b.Columns {
			c.Set(i, column.Null)
		}
	}
}

// fillTimes computes the start of each row's bucket for each grain in use.
func (l *Logic) fillTimes(b *Batch) {
	for _, g := range l.grains {
		times := column.NewVector(column.Type{Kind: column.Timestamp}, len(b.Events))
		b.Times[g] = times
		if g == definition.None { // one bucket for all time: every row is in it
			clear(times.Nulls)
			continue
		}
		at := b.Columns[l.time]
		for i, null := range at.Nulls {
			if !null {
				times.Set(i, column.Value{Int: view.Bucket(g, l.zone, at.Int[i])})
			}
		}
	}
}
