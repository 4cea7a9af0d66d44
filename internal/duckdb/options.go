package duckdb

// Paths says where files lie, as absolute paths.
type Paths struct {
	Master func(name string) string          // a file of the master dataset
	View   func(version, name string) string // a file of a version
}

// Options bounds what a job may use.
type Options struct {
	Threads      int                   // 0: one for each core
	MemoryLimit  int64                 // bytes; 0: DuckDB's own limit, 80 % of the machine's memory
	TempDir      string                // where rows go that do not fit in memory; "": the system's
	RowGroupRows int                   // rows of a view file's row group; 0: DefaultRowGroupRows
	Progress     func(done, total int) // called after each step of a job; may be nil
}

// DefaultRowGroupRows is a compromise: a query of few buckets reads little, a
// query of all of them does not read tiny pieces.
const DefaultRowGroupRows = 8 << 10
