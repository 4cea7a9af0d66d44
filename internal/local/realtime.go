package local

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watershed-data/watershed/internal/protocol"
)

// RealTime holds the real-time items and dedup segments of one generation in
// the state database.
//
// An item's key begins with its shard and epoch, so that discarding is the
// deletion of one range per shard, and a query seeks once per shard and epoch:
// there are few, since every version discards the epochs it covers.
type RealTime struct {
	store      *Store
	generation string
	reader     pebble.Reader // the database, or a snapshot of it
	mu         *sync.Mutex   // makes the conditions of Put one step with its writes
}

// RealTime gives the items of a generation. There must be one per generation.
func (s *Store) RealTime(generation string) *RealTime {
	return &RealTime{store: s, generation: generation, reader: s.db, mu: &sync.Mutex{}}
}

// Freeze gives ledger and items as they stand now, for reading, and a function
// that lets them go; it must be called before the store is closed.
func Freeze(l *Ledger, r *RealTime) (protocol.Ledger, protocol.RealTime, func(), error) {
	if err := l.store.enter(); err != nil {
		return nil, nil, nil, err
	}
	defer l.store.leave()
	snapshot := l.store.db.NewSnapshot()
	ledger, items := *l, *r
	ledger.reader, items.reader = snapshot, snapshot
	return &ledger, &items, func() { _ = snapshot.Close() }, nil
}

const pageItems = 1000

func (r *RealTime) prefix(kind byte, shard string) []byte {
	return fmt.Appendf(nil, "%c%s\x00%s\x00", kind, r.generation, shard)
}

func (r *RealTime) epochKey(shard string, epoch int64) []byte {
	return binary.BigEndian.AppendUint64(r.prefix(keyItem, shard), uint64(epoch))
}

// timeKey gives where the items of a view from a time on begin.
func timeKey(group []byte, view string, time int64) []byte {
	key := append(append([]byte(nil), group...), view...)
	return binary.BigEndian.AppendUint64(append(key, 0), uint64(time)^1<<63)
}

func (r *RealTime) itemKey(id protocol.ItemID) []byte {
	return append(timeKey(r.epochKey(id.Shard, id.Epoch), id.View, id.Time), id.Dims...)
}

// Items implements protocol.RealTime.
func (r *RealTime) Items(_ context.Context, ids []protocol.ItemID) ([]protocol.Item, error) {
	if err := r.store.enter(); err != nil {
		return nil, err
	}
	defer r.store.leave()
	out := make([]protocol.Item, len(ids))
	for i, id := range ids {
		it, err := r.item(id)
		if err != nil {
			return nil, err
		}
		out[i] = it
	}
	return out, nil
}

func (r *RealTime) item(id protocol.ItemID) (protocol.Item, error) {
	it := protocol.Item{ItemID: id}
	value, closer, err := r.reader.Get(r.itemKey(id))
	if errors.Is(err, pebble.ErrNotFound) {
		return it, nil
	}
	if err != nil {
		return it, fmt.Errorf("reading a real-time item: %w", err)
	}
	defer closer.Close()
	return it, decodeItem(value, &it)
}

// Put implements protocol.RealTime. All items that are stored are stored in one
// step. They reach the disk with the ledger's next commit, see Ledger.
func (r *RealTime) Put(_ context.Context, puts []protocol.Put) ([]bool, error) {
	if err := r.store.enter(); err != nil {
		return nil, err
	}
	defer r.store.leave()
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]bool, len(puts))
	b := r.store.db.NewBatch()
	defer b.Close()
	for i, p := range puts {
		if err := p.Item.Fits(); err != nil {
			return nil, err
		}
		stored, err := r.item(p.Item.ItemID)
		if err != nil {
			return nil, err
		}
		if out[i] = stored.Through == p.Expect; out[i] {
			if err := b.Set(r.itemKey(p.Item.ItemID), encodeItem(p.Item), nil); err != nil {
				return nil, fmt.Errorf("storing real-time items: %w", err)
			}
		}
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return nil, fmt.Errorf("storing real-time items: %w", err)
	}
	return out, nil
}

// Query implements protocol.RealTime. The token is the key to go on from.
func (r *RealTime) Query(ctx context.Context, view string, from, to int64, token string) (page protocol.ItemPage, err error) {
	if err := r.store.enter(); err != nil {
		return page, err
	}
	defer r.store.leave()
	all := fmt.Appendf(nil, "%c%s\x00", keyItem, r.generation)
	it, err := r.reader.NewIter(&pebble.IterOptions{LowerBound: all, UpperBound: keyAfter(all)})
	if err != nil {
		return page, fmt.Errorf("reading real-time items: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	valid := it.First()
	if token != "" {
		valid = it.SeekGE([]byte(token))
	}
	size := 0 // of the page in bytes
	for valid {
		if len(page.Items) == pageItems || size >= protocol.ItemPageBytes {
			page.Next = string(it.Key())
			return page, ctx.Err()
		}
		id, group, err := parseItemKey(it.Key(), len(all))
		if err != nil {
			return page, err
		}
		first := timeKey(group, view, from)
		switch {
		case bytes.Compare(it.Key(), first) < 0:
			valid = it.SeekGE(first)
		case id.View != view || id.Time >= to:
			valid = it.SeekGE(keyAfter(group))
		default:
			item := protocol.Item{ItemID: id}
			if err := decodeItem(it.Value(), &item); err != nil {
				return page, err
			}
			page.Items = append(page.Items, item)
			size += item.Size()
			valid = it.Next()
		}
	}
	return page, it.Error()
}

// parseItemKey takes a key apart; group is its part up to and with the epoch.
func parseItemKey(key []byte, prefix int) (id protocol.ItemID, group []byte, err error) {
	rest := key[prefix:]
	i := bytes.IndexByte(rest, 0)
	if i < 0 || len(rest) < i+9 {
		return id, nil, errItem
	}
	id.Shard, rest = string(rest[:i]), rest[i+1:]
	id.Epoch, rest = int64(binary.BigEndian.Uint64(rest)), rest[8:]
	group = bytes.Clone(key[:len(key)-len(rest)])
	i = bytes.IndexByte(rest, 0)
	if i < 0 || len(rest) < i+9 {
		return id, nil, errItem
	}
	id.View, rest = string(rest[:i]), rest[i+1:]
	id.Time = int64(binary.BigEndian.Uint64(rest) ^ 1<<63)
	id.Dims = string(rest[8:])
	return id, group, nil
}

// Discard implements protocol.RealTime.
func (r *RealTime) Discard(_ context.Context, shard string, epoch int64) (n int64, err error) {
	if err := r.store.enter(); err != nil {
		return 0, err
	}
	defer r.store.leave()
	from, to := r.prefix(keyItem, shard), r.epochKey(shard, epoch+1)
	it, err := r.reader.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return 0, fmt.Errorf("reading real-time items: %w", err)
	}
	for it.First(); it.Valid(); it.Next() {
		n++
	}
	if err := it.Close(); err != nil || n == 0 {
		return 0, err
	}
	// A zombie may put an item back into an epoch that is gone; the next discard
	// takes it away again, and no reader looks below the cut.
	if err := r.store.db.DeleteRange(from, to, pebble.NoSync); err != nil {
		return 0, fmt.Errorf("discarding real-time items of %s: %w", shard, err)
	}
	// In memory every reader would step over each deleted item.
	if _, err := r.store.db.AsyncFlush(); err != nil {
		return 0, fmt.Errorf("discarding real-time items of %s: %w", shard, err)
	}
	return n, nil
}

// segmentKey ends with the part in four bytes.
func (r *RealTime) segmentKey(id protocol.SegmentID) []byte {
	return binary.BigEndian.AppendUint32(append(r.prefix(keySegment, id.Shard), id.Through.Key()...), uint32(id.Part))
}

func parseSegmentKey(key []byte, shard string) (protocol.SegmentID, error) {
	id := protocol.SegmentID{Shard: shard}
	n := len(key) - 4
	if n < 0 {
		return id, errors.New("a key is damaged")
	}
	var err error
	id.Through, err = protocol.ParseKey(string(key[:n]))
	id.Part = int(binary.BigEndian.Uint32(key[n:]))
	return id, err
}

// PutSegment implements protocol.RealTime.
func (r *RealTime) PutSegment(_ context.Context, s protocol.Segment) error {
	if err := s.Fits(); err != nil {
		return err
	}
	if err := r.store.enter(); err != nil {
		return err
	}
	defer r.store.leave()
	value := append(binary.AppendVarint(nil, s.MaxArrival), s.Data...)
	if err := r.store.db.Set(r.segmentKey(s.SegmentID), value, pebble.NoSync); err != nil {
		return fmt.Errorf("storing a dedup segment of %s: %w", s.Shard, err)
	}
	return nil
}

// Segments implements protocol.RealTime.
func (r *RealTime) Segments(_ context.Context, shard string) (out []protocol.Segment, err error) {
	if err := r.store.enter(); err != nil {
		return nil, err
	}
	defer r.store.leave()
	prefix := r.prefix(keySegment, shard)
	it, err := r.reader.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: keyAfter(prefix)})
	if err != nil {
		return nil, fmt.Errorf("reading dedup segments of %s: %w", shard, err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		id, err := parseSegmentKey(it.Key()[len(prefix):], shard)
		if err != nil {
			return nil, fmt.Errorf("reading dedup segments of %s: %w", shard, err)
		}
		arrival, n := binary.Varint(it.Value())
		if n <= 0 {
			return nil, fmt.Errorf("reading dedup segments of %s: a value is damaged", shard)
		}
		out = append(out, protocol.Segment{SegmentID: id, MaxArrival: arrival, Data: bytes.Clone(it.Value()[n:])})
	}
	return out, it.Error()
}

// DeleteSegment implements protocol.RealTime.
func (r *RealTime) DeleteSegment(_ context.Context, id protocol.SegmentID) error {
	if err := r.store.enter(); err != nil {
		return err
	}
	defer r.store.leave()
	if err := r.store.db.Delete(r.segmentKey(id), pebble.NoSync); err != nil {
		return fmt.Errorf("deleting a dedup segment of %s: %w", id.Shard, err)
	}
	return nil
}

var errItem = errors.New("reading a real-time item: it is damaged")

// encodeItem encodes what the key does not say.
func encodeItem(it protocol.Item) []byte {
	var b []byte
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(it.Through.Key())
	text(string(it.Cur))
	if it.Prev != nil {
		text(it.PrevThrough.Key())
		text(string(it.Prev))
	}
	return b
}

func decodeItem(b []byte, it *protocol.Item) (err error) {
	field := func() []byte {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			err, b = errItem, nil
			return nil
		}
		f := append([]byte{}, b[used:used+int(n)]...)
		b = b[used+int(n):]
		return f
	}
	position := func() (p protocol.Position) {
		text := field()
		if err == nil {
			p, err = protocol.ParseKey(string(text))
		}
		return p
	}
	it.Through = position()
	it.Cur = field()
	if len(b) > 0 {
		it.PrevThrough = position()
		it.Prev = field()
	}
	return err
}
