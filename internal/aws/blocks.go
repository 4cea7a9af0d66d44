package aws

import (
	"container/list"
	"context"
	"errors"
	"sync"
)

// blockBytes is the size of the pieces in which objects are read, in bytes: what comes
// over the network in about the time that a request takes by itself.
const blockBytes = 256 << 10

// mostRun is how many blocks one request asks for at most.
const mostRun = 16

// blocks keeps the pieces of objects that were read last. What is in an object never
// changes, so a piece is right for as long as it is kept. It may be used by several
// goroutines at once.
type blocks struct {
	most int // that are kept

	mu    sync.Mutex
	byID  map[blockID]*block
	order *list.List // of those that have come, the one that was used last at the end
}

// blockID names a piece of an object.
type blockID struct {
	bucket, key string
	n           int64 // from 0
}

// block is a piece of an object: blockBytes of it, or what is left at its end.
type block struct {
	id   blockID
	come chan struct{} // closed when data or err is there
	data []byte
	err  error
	at   *list.Element // in the order; nil: it is not kept
}

func newBlocks(most int) *blocks {
	return &blocks{most: most, byID: map[blockID]*block{}, order: list.New()}
}

// claim gives a block. If it is new, the caller has to settle it; others wait.
func (b *blocks) claim(id blockID) (_ *block, isNew bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if there := b.byID[id]; there != nil {
		if there.at != nil {
			b.order.MoveToBack(there.at)
		}
		return there, false
	}
	claimed := &block{id: id, come: make(chan struct{})}
	b.byID[id] = claimed
	return claimed, true
}

// settle says what a claimed block holds, or why it could not be read. One that could
// not is forgotten.
func (b *blocks) settle(claimed *block, data []byte, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	claimed.data, claimed.err = data, err
	close(claimed.come)
	if err != nil {
		delete(b.byID, claimed.id)
		return
	}
	claimed.at = b.order.PushBack(claimed)
	for b.order.Len() > b.most {
		oldest := b.order.Remove(b.order.Front()).(*block)
		oldest.at = nil
		delete(b.byID, oldest.id)
	}
}

// keep adds a block that came by another way.
func (b *blocks) keep(id blockID, data []byte) {
	if claimed, isNew := b.claim(id); isNew {
		b.settle(claimed, data, nil)
	}
}

// errNotMine: another reader did not get the block.
var errNotMine = errors.New("another reader gave up")

// wait gives the content of a block that somebody reads.
func (b *block) wait(ctx context.Context) ([]byte, error) {
	select {
	case <-b.come:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if b.err != nil {
		return nil, errNotMine
	}
	return b.data, nil
}
