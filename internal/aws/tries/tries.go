// Package tries says how often AWS is asked again for what it refused, and how long
// to wait before that. It knows nothing of what is asked.
package tries

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// Most is how often a request is sent at most. Each wait between two of them is drawn
// at random below a bound that doubles from try to try, up to longest.
const Most = 8

const longest = 2 * time.Second

// Retryer is what clients of the SDK send requests again by.
func Retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = Most, longest })
}

// Pause waits after a try, counted from 1, of something that the SDK does not send
// again by itself. It gives the context's error if that ends first.
func Pause(ctx context.Context, try int) error {
	timer := time.NewTimer(rand.N(min(50*time.Millisecond<<(try-1), longest)) + 1)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
