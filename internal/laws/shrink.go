//go:build !mutants

package laws

// shrinkPlays bounds the work of making a failing history smaller.
const shrinkPlays = 3000
