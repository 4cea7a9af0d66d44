package protocol

import "errors"

// Errors that callers tell apart.
var (
	// ErrExpired: the log no longer holds events that are still needed.
	ErrExpired = errors.New("the log no longer holds events that are still needed")
	// ErrGap: a batch does not begin where the ledger ends.
	ErrGap = errors.New("events are missing between the ledger and the batch")
	// ErrNotYet: ancestors of the shard are not committed to their end; retry later.
	ErrNotYet = errors.New("an ancestor shard is not committed to its end yet")
	// ErrBusy: the data moved faster than the bounded retries; retry later.
	ErrBusy = errors.New("gave up after too many concurrent changes; try again")
	// ErrReplaced: files of the master dataset were replaced by somebody else.
	ErrReplaced = errors.New("the files were replaced meanwhile")
	// ErrTooLarge: no store takes an item or a segment of that size.
	ErrTooLarge = errors.New("it is too large to be stored as one item")
	// ErrMismatch: master dataset and ledger disagree.
	ErrMismatch = errors.New("the master dataset and the ledger disagree")
)
