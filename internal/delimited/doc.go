// Package delimited reads and writes records of delimited text, one at a time:
// events of the formats csv and tsv. It knows nothing of definitions, events or
// stores.
//
// A record is one line. One line end after it, LF or CR LF, is not part of it.
// An empty field is null, however it is written.
//
// # CSV
//
// As RFC 4180 says, with nothing left to taste: fields are separated by commas.
// A field that begins with a double quote ends with one, and may hold commas,
// line ends and, doubled, double quotes. A field that does not begin with one
// holds neither double quotes nor line ends. Blanks belong to the field.
//
// # TSV
//
// Fields are separated by tabs and hold neither tabs nor line ends. Quotes mean
// nothing. A backslash begins an escape: \t is a tab, \n a line feed, \r a
// carriage return, \\ a backslash. A field that is \N is null, as databases
// write it. A backslash before anything else breaks the record: to guess would
// read C:\new as two lines.
package delimited
