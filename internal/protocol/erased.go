package protocol

// Erased is what stays of an event that was erased, so that both entries of its
// shard go on counting it. Its partition key and its bytes are gone.
type Erased struct {
	Hash uint64 // the event's, from when it was whole: see Hash
	// What it is compared by with later events of the same id, as in the master
	// dataset; both 0 once it cannot make one a duplicate.
	IDHigh, IDLow uint64
}
