// Package archive is the batch layer's own consumer of the log: it turns events
// into rows and stores them, all of them, in the master dataset as Parquet.
//
// It knows the definition, the row logic and the ports Log and Master, and
// nothing of the speed layer: two consumers that read the same log on their own
// are what makes comparing their figures worth anything.
//
// The archive writes at least once. A crash between a file and its checkpoint
// stores rows twice; the batch layer sees that in the figures and keeps one row
// per position.
package archive
