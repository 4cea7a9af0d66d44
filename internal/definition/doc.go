// Package definition reads pipeline.yaml into a checked Definition: every name
// resolves, every expression type-checks, every type fits its use. A text that
// has errors gives no Definition but all its errors, each with its place and
// what to write instead.
//
// It knows columns and expressions, and nothing of events, stores or layers.
//
// # Generation
//
// Definition.Generation is the hash of what decides an answer: the source's
// format and columns, event time and id, the pipeline's zone, the cleaning
// steps, the views, and RowLogicVersion. Ledger, real-time items and versions
// are filed under it, so two definitions of one generation must give the same
// answers from the same stored states. Not part of it: comments, the order of
// views, what equals a default, the pipeline's name, batch timing, lookups (they are joined when a query asks,
// and no stored state depends on them) and the file's
// name. Part of it are the order of dimensions and of measures, which is the
// layout of keys and states, and the order of cleaning steps, of the assignments
// in a set and of columns: the first problem in that order is the reason for
// which row logic rejects an event, and rejects are counted by reason.
package definition

//go:generate go run ./schemagen ../../docs/pipeline.schema.json
