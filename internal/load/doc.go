// Package load takes history into the master dataset: events of a file, as the
// rows of a pseudo-shard of their own, beside those of the stream. It is a third
// consumer in the batch layer's half of the pipeline. It knows the definition,
// row logic and the ports, and the archive as the interface that it needs.
//
// A load passes these steps. Each can be done again, so a load may be killed
// anywhere and goes on where it was:
//
//  1. Accept checks the events, leaves out those that are not old enough, and
//     spools the others durably. Which events a load holds is decided here, once.
//  2. Its record is stored under the hash of the content, if there is none. From
//     here on the load is accepted and will be in the master dataset.
//  3. The archive reads the spool as it reads a shard's log, with checkpoints.
//  4. Count and checksum are taken from the spool a second time, apart from the
//     archive: the ledger's side of the double entry.
//  5. The ledger gets the pseudo-shard's row, complete from the first moment on.
//     The next seal finds it there or does not: a version holds all of a load or
//     nothing of it.
//  6. The spool is deleted.
//
// Loads have no real-time items. An answer holds those that its version holds.
package load
