package protocol

// Record is what a producer hands to the stream: one event, or a KPL aggregate
// of several.
type Record struct {
	Data            []byte
	PartitionKey    string
	ExplicitHashKey string // decimal 128-bit, in place of the partition key's hash; "": none
}

// Placed says where the stream put a record.
type Placed struct {
	Shard string
	Seq   string // the record's sequence number
}
