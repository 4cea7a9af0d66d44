package aws

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/watershed-data/watershed/internal/aws/tries"
)

// Options says where a pipeline's stores are, and how they are used.
type Options struct {
	Items  string // name of the table of real-time items and dedup segments
	Ledger string // name of the table of ledger rows, pointer, plans and loads
	Master string // bucket of the master dataset, from which only replaced files are ever deleted
	Views  string // bucket of what comes and goes: the versions, and the spools of loads

	// Buckets is over how many partitions the items of a shard are spread that has
	// none yet; 0: DefaultBuckets. A partition takes 1,000 writes of a kilobyte a
	// second, and a query asks each of them.
	Buckets int
	// KeepReplaced is how long files of the master dataset are kept after others took
	// their place: longer than any reader takes. 0: only readers of this process exist,
	// and a file goes with the last of them.
	KeepReplaced time.Duration
	// Now is the clock by which replaced files are deleted and a generation is born;
	// nil: the machine's.
	Now func() time.Time
	// CacheBytes is how much of what was read of objects is kept in memory; 0:
	// DefaultCacheBytes.
	CacheBytes int
	// PathStyle addresses a bucket in the path and not in the host's name, as
	// stand-ins on one machine want it.
	PathStyle bool
	Logger    *slog.Logger // nil: slog.Default
}

// DefaultBuckets is enough for what a shard takes in a second, if each event
// touches three cells that no other one does.
const DefaultBuckets = 4

// DefaultCacheBytes holds the pages that the queries of a while read.
const DefaultCacheBytes = 64 << 20

// Store gives the ports of one pipeline.
type Store struct {
	options Options
	dynamo  *dynamodb.Client
	s3      *s3.Client
	blocks  *blocks

	mu      sync.Mutex
	masters map[string]*Master // by generation
	adopted adopted            // zero: not asked yet
}

// connections is how many are kept open to one endpoint: as many as requests are
// under way at a time.
const connections = 64

// Open gives the stores in a region and account. It asks nothing of them yet.
func Open(config sdk.Config, options Options) (*Store, error) {
	for _, part := range []struct{ what, name string }{
		{"table of items", options.Items}, {"table of the ledger", options.Ledger},
		{"bucket of the master dataset", options.Master}, {"bucket of the views", options.Views},
	} {
		if part.name == "" {
			return nil, fmt.Errorf("opening the stores: the %s has no name", part.what)
		}
	}
	if options.Buckets == 0 {
		options.Buckets = DefaultBuckets
	}
	if options.CacheBytes == 0 {
		options.CacheBytes = DefaultCacheBytes
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	config.Retryer = tries.Retryer
	if config.HTTPClient == nil {
		config.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConnsPerHost = connections })
	}
	return &Store{
		options: options,
		dynamo:  dynamodb.NewFromConfig(config),
		blocks:  newBlocks(max(options.CacheBytes/blockBytes, mostRun)),
		masters: map[string]*Master{},
		s3:      s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = options.PathStyle }),
	}, nil
}
