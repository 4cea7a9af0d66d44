package protocol

import (
	"context"
	"fmt"
	"io"

	"github.com/watershed-data/watershed/internal/definition"
)

// Shard is one shard of a stream.
type Shard struct {
	ID        string
	Parents   []string // one after a split, two after a merge, none at the start
	HashFrom  string   // inclusive range of partition-key hashes, decimal 128-bit
	HashTo    string
	FirstSeq  string // the sequence number range begins here
	LastSeq   string // set once the shard is closed: nothing will come after it
	CreatedAt int64  // milliseconds since 1970-01-01 UTC
}

// Closed reports whether the shard takes no more events.
func (s Shard) Closed() bool { return s.LastSeq != "" }

// Page is one read of a shard's log.
type Page struct {
	Events []Event // in log order, whole records
	AtTip  bool    // nothing lies after them now
	Ended  bool    // nothing will ever lie after them: the shard is closed and read to its end
}

// Log is the stream: the one order of events per shard. Implementations are
// durable before Read shows an event.
type Log interface {
	// Shards lists all shards that still hold events or are open, parents before children.
	Shards(ctx context.Context) ([]Shard, error)
	// Read gives events after the position, at most about limit of them, always whole
	// records. A page without events is at the tip or at the end. A position whose
	// successors have expired is ErrExpired, never a gap.
	Read(ctx context.Context, shard string, after Position, limit int) (Page, error)
}

// Cut is the exact place in a shard's log up to which a version answers, with
// the figures of everything before it.
type Cut struct {
	Epoch   int64    `json:"epoch"`
	Through Position `json:"through"`
	Count   int64    `json:"count"`
	Sum     Sum      `json:"sum"`
	// MaxArrival is the latest arrival up to Through, milliseconds since 1970-01-01
	// UTC; 0 if there is none, or if an earlier release sealed the shard.
	MaxArrival int64 `json:"maxArrival,omitempty"`
}

// Pending is the intent to apply the events after Through of the row up to
// Through of the intent, filed under Epoch.
type Pending struct {
	Through Position `json:"through"`
	Epoch   int64    `json:"epoch"`
	Since   int64    `json:"since"` // milliseconds since 1970-01-01 UTC; for people, the protocol does not read it
}

// Row is a shard's ledger row: what the speed layer has committed.
type Row struct {
	Rev        int64    `json:"rev"`
	Epoch      int64    `json:"epoch"`
	From       Position `json:"from"` // genesis: events up to here are not part of the pipeline
	Through    Position `json:"through"`
	Count      int64    `json:"count"`
	Sum        Sum      `json:"sum"`
	MaxArrival int64    `json:"maxArrival"`
	Pending    *Pending `json:"pending,omitempty"`
	Cut        *Cut     `json:"cut,omitempty"`
}

// Pointer is the one record that names the current version.
type Pointer struct {
	Seq     int64  `json:"seq"`     // number of the version; 0: none published yet
	Version string `json:"version"` // "": none published yet
	Disc    int64  `json:"disc"`    // real-time items that version Disc covers may be gone
}

// Plan is what a batch run is a function of, besides the definition.
type Plan struct {
	Run     string         `json:"run"`
	Pointer Pointer        `json:"pointer"` // as read before the seals
	Cut     map[string]Cut `json:"cut"`
	T       int64          `json:"t"` // milliseconds since 1970-01-01 UTC: the watershed as people see it
}

// Ledger holds the rows, the pointer and the plans of one generation. Every
// read is strongly consistent.
type Ledger interface {
	// Shards lists the shards that have a row, in no particular order.
	Shards(ctx context.Context) ([]string, error)
	// Rows reads the rows of all shards. Each is as it was at a moment of its own
	// between the call and the return; nothing says which was read before which.
	Rows(ctx context.Context) (map[string]Row, error)
	// Row reads a shard's row; false if there is none.
	Row(ctx context.Context, shard string) (Row, bool, error)
	// Create stores a row with Rev 1 if there is none; false if there is one.
	Create(ctx context.Context, shard string, row Row) (bool, error)
	// Swap replaces the row if its Rev is still row.Rev, and stores Rev+1; false if it is not.
	Swap(ctx context.Context, shard string, row Row) (bool, error)
	// Pointer reads the pointer; the zero Pointer if none was ever stored.
	Pointer(ctx context.Context) (Pointer, error)
	// SwapPointer replaces the pointer if it is still old; false if it is not.
	SwapPointer(ctx context.Context, old, new Pointer) (bool, error)
	// Plan reads a run's plan; false if there is none.
	Plan(ctx context.Context, run string) (Plan, bool, error)
	// PutPlan stores the plan if the run has none, and gives the one that is stored.
	PutPlan(ctx context.Context, plan Plan) (Plan, error)
	// DeletePlan forgets a run's plan; a missing one is no error.
	DeletePlan(ctx context.Context, run string) error
}

// Key names one cell of a view: what it is filed under besides epoch and shard.
type Key struct {
	View string
	Time int64  // start of the bucket, microseconds since 1970-01-01 UTC; 0 for every: none
	Dims string // the encoded dimension values; byte order is their order
}

// ItemID names one real-time item. An item has one writing shard.
type ItemID struct {
	Key
	Epoch int64
	Shard string
}

// Item is a real-time item. It keeps the state after its last batch and the one
// before, so that a reader sees exactly what is committed.
type Item struct {
	ItemID
	Cur         []byte
	Through     Position
	Prev        []byte // nil: the item did not exist
	PrevThrough Position
}

// Put stores Item if the stored one's Through is still Expect (the zero
// Position: there is none).
type Put struct {
	Item   Item
	Expect Position
}

// ItemPage is one page of a query.
type ItemPage struct {
	Items []Item
	Next  string // token of the next page; "" at the end
}

// SegmentID names one dedup segment: a part of what the batch that ends at
// Through adds to the shard's dedup set.
type SegmentID struct {
	Shard   string
	Through Position
	Part    int // from 0
}

// Segment is a dedup segment. Immutable.
type Segment struct {
	SegmentID
	MaxArrival int64  // the latest arrival in it, milliseconds since 1970-01-01 UTC
	Data       []byte // at most SegmentBytes
}

// Fits gives an error that is ErrTooLarge if no store takes the segment.
func (s *Segment) Fits() error {
	if n := len(s.Data); n > SegmentBytes {
		return fmt.Errorf("storing a dedup segment of %s with %d bytes of data, where stores take %d: %w", s.Shard, n, SegmentBytes, ErrTooLarge)
	}
	return nil
}

// SegmentBytes is the most that a segment's Data holds, so that every store
// takes it as one item.
const SegmentBytes = 300_000

// ItemBytes is the most that an item takes, as Item.Size counts it. DynamoDB takes
// 409,600 bytes; what is between is for the names of attributes. The definition's
// checker refuses views whose items could be larger, so no layer ever splits one;
// a store that is given one all the same refuses it with ErrTooLarge, at home as
// well as in the cloud.
const ItemBytes = definition.MaxItemBytes

// Size is what the item takes in a store, in bytes: its names, positions and both
// states.
func (it *Item) Size() int {
	const numbers = 2 * 8 // time and epoch
	return len(it.View) + len(it.Dims) + len(it.Shard) + numbers +
		len(it.Through.Seq) + len(it.PrevThrough.Seq) + 2*keyExtra + len(it.Cur) + len(it.Prev)
}

// Fits gives an error that is ErrTooLarge if no store takes the item.
func (it *Item) Fits() error {
	if n := it.Size(); n > ItemBytes {
		return fmt.Errorf("storing an item of view %s in %d bytes, where stores take %d: %w", it.View, n, ItemBytes, ErrTooLarge)
	}
	return nil
}

// ItemPageBytes is about the most that the items of one page take together, in
// bytes: a page ends with the item that reaches it.
const ItemPageBytes = 4 << 20

// RealTime holds the real-time items and dedup segments of one generation.
// Every read is strongly consistent.
type RealTime interface {
	// Items reads items by id; a missing one has a zero Through.
	Items(ctx context.Context, ids []ItemID) ([]Item, error)
	// Put stores each item under its condition and says which were stored. It is
	// not a transaction: any subset may land before an error. An item of more than
	// ItemBytes is ErrTooLarge.
	Put(ctx context.Context, puts []Put) ([]bool, error)
	// Query pages through a view's items with bucket starts in [from, to), in any
	// order that stays the same from page to page. A page takes about ItemPageBytes
	// at most.
	Query(ctx context.Context, view string, from, to int64, token string) (ItemPage, error)
	// Discard deletes a shard's items with an epoch up to and including the given one.
	Discard(ctx context.Context, shard string, epoch int64) (deleted int64, err error)

	// PutSegment stores a segment; storing the same one again changes nothing. One
	// with more than SegmentBytes of data is ErrTooLarge.
	PutSegment(ctx context.Context, s Segment) error
	// Segments reads a shard's segments by position and part.
	Segments(ctx context.Context, shard string) ([]Segment, error)
	// DeleteSegment deletes one segment; a missing one is no error.
	DeleteSegment(ctx context.Context, id SegmentID) error
}

// File is one immutable file of the master dataset.
type File struct {
	Name  string // unique in the dataset, never used again
	Shard string // that it was put for
	Size  int64  // bytes
}

// NewFile is a file to be put into the master dataset.
type NewFile struct {
	Shard string
	Write func(io.Writer) error // gives the content
}

// Master is the master dataset: immutable files of rows. What was put stays
// until Replace puts files in its place that say the same of every position.
type Master interface {
	// Put stores a file under a new name, durably, and gives it; content comes from write.
	Put(ctx context.Context, shard string, write func(io.Writer) error) (File, error)
	// Replace stores files in the place of old ones, durably and all at once: Files
	// lists either all of the old ones or all of the new ones, also after a crash at
	// any point. If an old one is not listed any more, nothing changes and the error is
	// ErrReplaced. Old files are deleted once nobody has them pinned.
	Replace(ctx context.Context, old []string, new []NewFile) ([]File, error)
	// Pin keeps every file that Files lists between now and release open to readers,
	// replaced or not. A store that cannot know its readers keeps replaced files for
	// longer than any of them takes.
	Pin(ctx context.Context) (release func(), err error)
	// Files lists all complete files, by name.
	Files(ctx context.Context) ([]File, error)
	// Open opens a file for random reads.
	Open(ctx context.Context, name string) (ReadAtCloser, int64, error)
}

// Views holds the files of the versions, each under a path that only one
// attempt of a run writes.
type Views interface {
	// PutManifest stores a version's manifest, after all its files.
	PutManifest(ctx context.Context, m Manifest) error
	// Manifest reads a version's manifest.
	Manifest(ctx context.Context, version string) (Manifest, error)
	// Open opens a file of a version for random reads.
	Open(ctx context.Context, version, name string) (ReadAtCloser, int64, error)
	// Versions lists what is stored, complete or not.
	Versions(ctx context.Context) ([]string, error)
	// Delete removes a version or what an attempt left of it.
	Delete(ctx context.Context, version string) error
}

// ReadAtCloser is a file open for random reads.
type ReadAtCloser interface {
	io.ReaderAt
	io.Closer
}

// Bytes is a part of a file, [From, To).
type Bytes struct{ From, To int64 }

// Fetcher is a file whose reads wait for long, and that can have several under way. It
// is told which parts will be read next.
type Fetcher interface {
	// Fetch gets the parts, in their order, so that reading them does not wait.
	Fetch(parts []Bytes) error
}

// ViewFile is one sorted Parquet file of a version. Its rows are ordered by
// time, then dimensions, nulls first.
type ViewFile struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
}

// Manifest describes a version. It is written last: a version without one was
// never complete.
type Manifest struct {
	Version    string                `json:"version"` // unique to the attempt
	Seq        int64                 `json:"seq"`
	Run        string                `json:"run"`
	Generation string                `json:"generation"`
	T          int64                 `json:"t"` // milliseconds since 1970-01-01 UTC
	Cut        map[string]Cut        `json:"cut"`
	Views      map[string][]ViewFile `json:"views"`
	Events     int64                 `json:"events"` // master rows up to the cut
	Full       Full                  `json:"full"`
	// Past is cuts of earlier versions of the chain, newest first: from one of them on
	// an incremental run looks for what its rows may be duplicates of. They lie the
	// further apart the older they are.
	Past []map[string]Cut `json:"past,omitempty"`
}

// Full names the last version of a chain that was computed from all rows: this
// one, or an earlier one that was gone on from.
type Full struct {
	Seq int64 `json:"seq"` // 0: it is not known
	T   int64 `json:"t"`   // of its watershed, milliseconds since 1970-01-01 UTC
}
