// Package serving is the serving layer: it answers queries on the merged views,
// the batch views of the current version plus the real-time items that the
// version does not cover, as one snapshot.
//
// It reads through protocol.Reader and decides nothing about which events an
// answer holds. It groups, merges states, reads results, orders and prints. It
// knows the definition, views and measures, and neither how events become rows
// nor where the stores are.
//
// # What an answer shows
//
// A row is a bucket of the asked grain and a tuple of the asked dimensions. Its
// time is the start of the bucket, and from and to choose among these starts,
// half-open: a bucket that starts before from or at to and later is not shown,
// and one that is shown is whole. So a day that is asked from 05:00 on is not
// shown, rather than shown in part. When a view that keeps time is asked with
// every: none, the one bucket has no start, and from and to choose among the
// buckets that the view keeps.
//
// Rows are ordered by time and then by the dimensions as asked; an order that
// is asked comes first and leaves ties in that order. Null is the smallest
// value of every type, so it is first ascending and last descending. Texts
// order by their bytes.
//
// # Values
//
// Every format prints a value the same: ints as digits, decimals with all
// digits of their scale, bools as true and false, dates as YYYY-MM-DD,
// timestamps as RFC 3339 in UTC. The column time is RFC 3339 with the offset of
// the pipeline's zone. Answer.WriteJSON, WriteCSV and WriteTable say the rest.
package serving
