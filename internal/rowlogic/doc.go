// Package rowlogic is the only place where a row is computed: an event's bytes
// become typed columns, cleaned and checked, with the time buckets and hashes
// that views and the double entry need.
//
// The Firehose transform, the speed layer, local mode and a recompute from raw
// bytes all call it, so the layers cannot disagree about a row. It knows the
// definition and nothing of stores or layers.
//
// # An event has exactly one outcome
//
// Row logic never fails. What an event holds decides alone what becomes of it,
// whatever batch it comes in: it is accepted, dropped by a drop step, or
// rejected with a reason. The reason is one of a set that the definition bounds
// (Logic.Reasons), so that rejects can be counted like any other dimension; the
// detail beside it quotes the event and is for people.
//
// The first problem in this order decides:
//
//  1. The place: an event in a KPL aggregate whose partition key belongs to
//     another shard. The producer's library sends it again.
//  2. The bytes: invalid UTF-8 anywhere; then what the format says. In JSON: no
//     bytes or only blanks; then the first of broken JSON, a name that an object
//     holds twice, and nesting deeper than 1,000 levels; then a text that is not
//     one object. In csv and tsv: no bytes but a line end; then a text that is
//     not one record; then a record of more or fewer fields than the definition
//     names.
//  3. The values, column by column in the order of declaration: a JSON type
//     that the column does not take, then a value that its type cannot hold
//     exactly.
//  4. The steps of clean, in order; within a step its assignments, in order.
//     An expression that fails rejects in any step. A row that a step drops or
//     rejects is not seen by the steps after it.
//  5. Required columns that are null after clean, in the order of declaration;
//     then the event time, required or not, if a view has time buckets.
//  6. What the views could not hold, in the order of columns: texts longer than
//     definition.MaxText that are dimensions or of which there is a minimum or
//     maximum, and floats that quantiles do not tell apart.
//  7. The conditions of views that fail, by the views' names.
//
// # What SQL must not compute
//
// Views also need columns that are made of others: the hash of a value for
// distinct, its bucket for quantiles, and whether a view's where takes the row.
// They are made here, once, and stored with the row; see definition.Input.
//
// # Identities
//
// If the definition has an event id, every event whose bytes and values are
// sound gets an Identity from its partition key and its id, unless that is null.
// A row that clean drops or rejects has one too. The id is taken before clean,
// so that changing the rules of clean changes no duplicate.
//
// # JSON
//
// Decoding is strict where leniency would make two readers of the same bytes
// disagree: UTF-8 must be valid (a \u escape that is half a surrogate pair is
// broken JSON), no object at any level holds a name twice, and nothing but
// blanks stands around the one object. Names match exactly, fields that no
// column reads are ignored, and null is the same as missing.
//
// A string column takes strings, and numbers as their text in the event; an int
// and a float column take numbers; a decimal and a timestamp column take both,
// since exact decimals are often written as strings; a date column takes
// strings and a bool column true and false. column.ParseText reads the texts.
//
// # CSV and TSV
//
// An event is one record as package delimited reads it. An empty field is null;
// of any other, column.ParseText reads the text, whatever the column's type.
//
// # Floats
//
// There is one zero: -0, from an event or from a constant of an expression,
// becomes 0 before it is stored, so that smallest values do not depend on which
// engine compares them. No value is a NaN or an infinity.
package rowlogic
