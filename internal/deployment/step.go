package deployment

// The steps of a batch run. The state machine asks the function batch for a step by
// an object with the member step, whose other members are what the step before gave;
// for the first one these are run, the name of the execution, and, if a version is to
// be made whatever it costs, full. The function gives the object for the step after,
// whose member next says which that is. Each step may be repeated.
//
//	seal      next is wait, compute or done
//	wait      after so many seconds as the member of that name says; next is wait, compute or repair
//	compute   is the engine's: by the job at the URI in the member job, which the engine's
//	          result in the member result tells the end of. computed is compare
//	computed  for an engine that nobody starts: next is compute, to ask again after
//	          seconds, or compare
//	compare   next is publish, compute, wait, repair or fail
//	repair    next is compute, repair to go on with it, or fail
//	publish   next is discard or done
//	discard   next is done
//	failed    for an error that repeating does not help, in the member caught, as the
//	          state machine gives it: next is fail, also if the version was published before
//
// attend is of no run: it looks behind what is committed of each shard, for the proof
// that an idle one is empty.
//
// done and fail are the two ends. The member report says what was done, and with
// fail, the member error why.
const (
	SealStep     = "seal"
	WaitStep     = "wait"
	ComputeStep  = "compute"
	ComputedStep = "computed"
	CompareStep  = "compare"
	RepairStep   = "repair"
	PublishStep  = "publish"
	DiscardStep  = "discard"
	FailedStep   = "failed"
	AttendStep   = "attend"
	Done         = "done"
	Fail         = "fail"
)
