// Package rejects tells of events that were not accepted: how many for which
// reason, and a few of them with their bytes.
//
// The counts are those of the built-in view ws_outcomes, so they are as exact as
// any answer, and rejected, dropped and duplicate events are counted apart.
// Examples are looked for in the master dataset, newest files first, and among
// the events of the log that are not archived yet. The search is bounded, and
// the report says when it ended before everything was looked at. A row in the
// master dataset has the outcome it would have if no other event had its id, so
// an example may be a repeat that is counted as a duplicate.
//
// It is a layer beside the serving layer, and knows the master dataset's files
// and row logic.
package rejects
