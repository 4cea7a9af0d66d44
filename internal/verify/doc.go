// Package verify compares the merged answer with a recompute from scratch: all
// events' raw bytes through the oracle, at exactly the positions that one
// snapshot of the answer holds. It is the product's promise as a command.
//
// Events come from the master dataset up to the current version's cut, and from
// the log behind it. Both are counted and hashed again and held against the
// ledger, so an event that is missing or doubled in the source of the recompute
// cannot hide the same mistake in the answer. Memory grows with cells, never with
// the number of events; if the definition has an event id, it also grows with
// the events of a day and the dedup window in each line of shards.
//
// It knows the protocol, the oracle and how to read a merged cell. It shares
// neither row logic nor SQL nor real-time items with the layers, and does not
// know where the stores are.
package verify
