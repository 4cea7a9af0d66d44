// Package measure holds the measures of views: their states, how a row is
// added, how two states merge, what an answer shows.
//
// Every state is exact and merging is associative and commutative, so any
// order and any split of the rows gives the same bits. That is what lets a
// batch view made by an SQL engine and a real-time item made in Go be added up.
package measure
