// Package recompute begins a generation beside the one that answers, on the same
// log: it sends the raw bytes of the whole master dataset through the new row
// logic, has the first version computed of the result, and hands the log over to
// the new generation's own consumers.
//
// # The beginning
//
// First, and once, a Start is fixed: the old ledger's committed figures of each
// shard (C), how far the old archive has come (K), and which files hold what it
// archived. Nothing else of the old generation counts from then on, which goes on
// answering and folding events. Then, each step a repeatable one:
//
//  1. Rows. Every row up to K is made again from its bytes, with the position,
//     partition key and arrival that it has.
//  2. Hand-over. The new archive goes on behind K, the new ledger behind C, with
//     the old one's figures: their checksum is over bytes and does not depend on
//     the definition.
//  3. Version. A batch run seals at C and compares the new master dataset with
//     those figures, as any run does. So a row that was lost on the way cannot
//     be missing from an answer: the run repairs it from the log, or fails.
//  4. Dedup set. The new speed layer needs to know the identities that were seen
//     up to C. They are columns of the rows that have just been found complete.
//  5. From here on the new generation is like any other. It follows the log, and
//     when it has come as far as the old one, it may answer in its place.
//
// Until then the log must keep what lies behind C and K.
//
// It knows the ports, the archive's files and the speed layer's segments.
package recompute
