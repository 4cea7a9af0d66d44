// Package memory implements the ports in memory: for tests of the layers, and
// for the laws, which need stores that a scheduler can stop between any two
// operations. Each operation is atomic.
package memory
