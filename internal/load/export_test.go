package load

import "context"

// FinishAll does once what Run does.
func (l *Loader) FinishAll(ctx context.Context) error { return l.finishAll(ctx) }
