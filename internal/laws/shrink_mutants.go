//go:build mutants

package laws

// shrinkPlays is none: that a mutant fails is all that anybody wants to know.
const shrinkPlays = 0
