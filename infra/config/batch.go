package config

import (
	"regexp"
	"time"
)

// Batch is how the versions of the batch views are computed. When, is the
// definition's.
type Batch struct {
	Engine  Engine
	Timeout time.Duration // the longest that an engine may compute
	Glue    Glue
	EMR     EMR
}

// Engine is who computes.
type Engine string

// The engines. All of them are given the same jobs.
const (
	GlueEngine     Engine = "glue"
	EMREngine      Engine = "emr"
	ExternalEngine Engine = "external" // somebody else, who looks for jobs in the artifacts bucket
)

// Glue is the job in Glue.
type Glue struct {
	Workers int // the driver is one of them
	Worker  string
}

// EMR is the cluster that a run starts and ends.
type EMR struct {
	Release  string
	Instance string        // type of all its instances
	Cores    int           // instances beside the primary one
	Idle     time.Duration // after which a cluster that was forgotten ends itself
}

var (
	emrRelease   = regexp.MustCompile(`^emr-7\.\d{1,2}\.\d{1,2}$`)
	instanceType = regexp.MustCompile(`^[a-z][a-z0-9-]*\.[a-z0-9-]+$`)
)

func defaultBatch() Batch {
	return Batch{
		Engine:  GlueEngine,
		Timeout: 2 * time.Hour,
		Glue:    Glue{Workers: 2, Worker: "G.1X"},
		EMR:     EMR{Release: "emr-7.13.0", Instance: "m7g.xlarge", Cores: 2, Idle: 10 * time.Minute},
	}
}

// batch checks that nothing is chosen for an engine that is not there.
func (r *reader) batch() {
	only := func(key string, engine Engine) {
		if n := r.seen[key]; n != nil && r.config.Batch.Engine != engine {
			r.fail(n, "%s is for batch.engine: %s, and it is %s; take it out", key, engine, r.config.Batch.Engine)
		}
	}
	only("batch.glue", GlueEngine)
	only("batch.emr", EMREngine)
}
