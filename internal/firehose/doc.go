// Package firehose is what Amazon Data Firehose calls on an event's way into the
// master dataset: it makes rows of the records of a stream, by the row logic, as
// JSON that Firehose converts to Parquet by the table of archive.Columns.
//
// It knows the shape of the invocation, row logic, the columns of the master
// dataset, the aggregates of the Kinesis Producer Library, and what it asks of the
// stream. It knows no store and no function: those are
// wired in functions/transform.
//
// # One record never fails the others
//
// An event that is bad is a row with a reason, as everywhere. A record that cannot
// become a row at all, such as one that was put into Firehose past the stream and so
// has no position, is answered as failed: Firehose keeps it under its error prefix.
// So is one whose row would make the answer longer than Lambda gives back, which a
// smaller buffer prevents. If it came from the stream, its row is missing from the
// master dataset, the batch layer sees that in the double entry, and writes it
// from the log. Only what may be better in a moment, such as a stream that does
// not answer, fails the invocation: Firehose tries again then.
//
// # What Firehose does not say
//
// Firehose takes KPL aggregates apart and gives each event's sub-sequence number,
// but 0 is both that of a first event and that of a plain record. Mostly nothing
// depends on it. Where something does, the stream is asked for the record: for events whose partition
// key belongs to another shard, and for data that looks like an aggregate, since a
// stand-in for Firehose may not have taken it apart.
package firehose
