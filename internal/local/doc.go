// Package local is the ports' home on one machine: the log, the ledger, the
// real-time items, the master dataset and the views of one pipeline, in one data
// directory.
//
// The directory holds
//
//	FORMAT   what the directory is: its format, its pipeline. Written last
//	LOCK     held by the process that has the directory open
//	ACKED    up to where the log was acknowledged (acked.go)
//	state/   one database: log, ledger, real-time items, plans
//	master/  the master dataset's files
//	views/   the versions' files
//
// What a method has acknowledged is on disk: it survives SIGKILL and the loss of
// power. The package implements the interfaces of protocol and knows no layer.
package local
