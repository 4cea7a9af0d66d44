// Package lookup reads dimension tables: files whose rows describe the values of
// a view's dimension, joined to an answer's groups when a query asks for them.
//
// It knows columns and the definition, and neither views nor events. What a
// table holds is no part of a generation: no stored state depends on it.
//
// # Content
//
// A Table is one content of a file, and never changes. A Set looks for a new
// content whenever a table is asked for: a file whose size and time of change
// are as they were is not read again, but for one that had changed within two
// seconds of its reading, since a clock may not tell two such changes apart. A
// file that cannot be read, or holds a key twice, does not take the place of a
// good content: that stays in use, and everything that shows it says so.
//
// # Types
//
// A key has the type of the dimensions it is compared with, and is read from its
// text. The attributes of a CSV file are strings, and an empty field is null.
// NDJSON gives strings, bools, ints and, where a number has a fraction, decimals
// of as many digits as the file uses; an absent name is null. Parquet gives the
// types that it states.
package lookup
