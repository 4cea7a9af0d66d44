// Package protocol is why the merged answer equals a recompute from scratch: the ports
// that stores implement, and what is done over them. Speed commits events to the
// real-time views; Run seals, publishes and discards around what the batch layer
// computes; Reader reads an answer. The package knows positions and bytes. What an
// event means and what a state is, Folder and Visitor know.
//
// It has no lock, and no clock decides anything. Every step may be killed, repeated,
// or still be at work in an old process while a new one does the same. What changes is
// changed by a compare-and-set of one record. Everything else that is written is a
// function of such a record and the log, so that writing it again changes nothing.
//
// # Committing
//
// A shard's ledger row says up to which position its events are in the real-time
// views. Speed stores in the row what it is about to add (Pending), then puts the
// items, then moves Through. Whoever finds something pending finishes it first.
//   - A batch begins directly behind Through and ends with a whole record. A gap is an
//     error, never passed over.
//   - An item has one writing shard, and says up to which position it holds events, so
//     nothing is added to it twice.
//   - An item keeps the state before its last batch, too: a reader finds the state that
//     is committed, whether it comes before or after the commit.
//   - A shard has a row only once all of its ancestors are committed to their end.
//   - Dedup segments are evicted only after a commit, so a dedup set is whole if the row
//     is still the same after it was loaded.
//
// # Sealing and publishing
//
// Run.Plan reads the pointer, moves every shard to its next epoch, children before
// parents, and stores what was committed there: the cut. Items are filed under the
// epoch of their batch, and nothing is pending at a seal. So a version covers all of an
// item or nothing of it, by its epoch alone.
//   - A run is a function of its plan, which is stored before anything is computed from
//     it. A run that is repeated takes the one that is stored.
//   - The pointer is read before the seals, so cuts only grow from version to version.
//   - A version lies under a name that no other attempt has, and its manifest is stored
//     last. It never changes.
//   - Run.Publish moves the pointer if it is still that of the plan. Of two runs side by
//     side one publishes, and nobody reads what the other one made.
//   - Run.Discard marks the pointer (Disc) before it deletes the first item.
//
// # Reading
//
// Reader reads the pointer, the ledger's rows, the version's views, the items, and the
// pointer again. Of an item behind the cut it takes the state that is committed in the
// rows as they were read. If it has neither state any more, or if the mark says that
// items of a later version's cut may be gone, the reading begins anew. So an answer
// holds exactly the events up to the positions of its Snapshot, and never a mixture.
package protocol
