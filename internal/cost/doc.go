// Package cost estimates what a pipeline costs on AWS in a month, says what of it
// dominates, and what to change.
//
// It knows the definition, what AWS asks for (prices.yaml, with its date and its
// region), and how the layers use each service. What it cannot know it assumes,
// and every assumption is in the answer. Nothing here decides an answer of a
// pipeline, so amounts are floats.
package cost
