// Package archive is the batch layer's own consumer of the log: it turns events
// into rows and stores them, all of them, in the master dataset as Parquet.
//
// It knows the definition, the row logic and the ports Log and Master, and
// nothing of the speed layer: two consumers that read the same log on their own
// are what makes comparing their figures worth anything.
//
// The archive writes at least once. After a crash between a file and its
// checkpoint it finds the file and goes on behind it; where rows are stored twice
// for another reason, the batch layer sees that in the figures and keeps one row
// per position.
//
// Two things change what was written, and neither decides anything about a row
// anew: merging small files into larger ones (merge.go), and erasing events
// (erase.go), which leaves of a row what the double entry needs.
package archive
