// Package expr holds the definition's expressions: CEL over the columns of a
// row, checked when the definition is read and evaluated column by column. It
// knows columns, and nothing of definitions, events or stores.
//
// cel-go parses the text and checks its types in an environment of this
// language only (language.go). The checked tree is then settled: decimals get
// their scales, and operands of two number types one type (settle.go). Two
// evaluators run the settled tree: kernels over column.Vector (Eval), which
// decide every answer, and cel-go's own with functions written a second time
// (EvalCEL), which the oracle and tests compare them with.
//
// # The language
//
// Constants are texts ('a', "a", r'\d'), ints (12), decimals (decimal("0.5"),
// or 0.5 beside a decimal or an int), floats (0.5 beside a float) and bools
// (true, false). There is no null to write.
//
//	a + b  a - b  a * b  -a        ints; decimals with decimals or ints
//	s + t                          joins texts
//	< <= > >=                      two numbers, texts, dates or timestamps
//	== !=                          two values of one type, or two numbers
//	&& || !                        bools
//	c ? a : b                      a if c, else b; values of one type, or numbers
//	x in ['a', 'b']                a list of constants of the type of x
//	lower(s) upper(s) trim(s)      trim takes off white space at both ends
//	substr(s, from, length)        length code points from the one at from, counted from 0
//	size(s)                        the number of code points
//	contains(s, part) startsWith(s, prefix) endsWith(s, suffix)
//	matches(s, 're')               a part of s matches the RE2 pattern, a constant
//	replace(s, old, new)           every occurrence; an empty old occurs nowhere
//	int(x)                         of a text [+-]digits, an int, or a decimal that is whole
//	decimal(n)                     of an int, a decimal, or a constant: decimal("0.5")
//	decimal(s, scale)              of a text [+-]digits[.digits]
//	string(x)                      of a text, int, decimal (every digit of its scale), bool,
//	                               date (2014-11-01) or timestamp (RFC 3339, UTC)
//	year(t) month(t) day(t)        of a date, or of a timestamp in the pipeline's zone
//	weekday(t)                     Monday is 1, Sunday is 7
//	hour(t)                        of a timestamp in the pipeline's zone, 0 to 23
//	coalesce(a, b, ...)            the first that is not null
//
// The functions on texts and times may also be written after a dot:
// name.lower(), sold_at.year(). Arguments of substr that are out of range are
// clamped: a negative one counts as 0, and the end of the text ends the result.
// A text that + or replace makes has at most 64 KiB.
//
// # Numbers
//
// Ints have 64 bits, decimals 18 digits. The scale of a decimal, its digits
// after the point, is known before any row: the larger one for + and -, the
// sum for *, the larger one for the values of ?: and coalesce. A product whose
// scale would be above 18 is an error of the definition. Nothing is rounded: a
// result that needs more digits fails the row. Floats are compared only.
//
// # Null and failure
//
// An operator or function over a null is null, with three exceptions that
// need not know every operand: false && null is false, true || null is true,
// and of c ? a : b only the chosen value matters. coalesce passes nulls over.
//
// A row fails where a value cannot be computed: overflow, a text that is no
// number. Failures travel as nulls do, with the same exceptions; a call with a
// null and a failure among its arguments fails, with the leftmost failure.
// Where && and || are not decided by one side, null wins over a failure, since
// the null might have decided. A failure's reason quotes the expression, never
// the row, so that reasons can be counted.
package expr
