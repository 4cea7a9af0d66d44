package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/watershed-data/watershed/infra/config"
)

// BucketsProps is how the buckets are kept.
type BucketsProps struct {
	Master  config.Master
	Key     awskms.IKey
	Removal awscdk.RemovalPolicy
}

// Buckets is a bucket for each kind of data, so that each has its own lifecycle
// and its own readers and writers.
type Buckets struct {
	Landing   awss3.IBucket // files that are to be loaded
	Staging   awss3.IBucket // what can be made again: query results, intermediate files
	Master    awss3.IBucket // the master dataset: versioned, so that no write takes an event away
	Views     awss3.IBucket // the versions of the batch views
	Artifacts awss3.IBucket // the jobs of batch runs and their results
	Logs      awss3.IBucket // who accessed the others
}

// How long what is not the master dataset is kept, in days.
const (
	abortUploads = 7
	keepLanded   = 30
	keepStaged   = 7
	keepJobs     = 30 // long after the run that one is of
	keepLogs     = 90
	keepReplaced = 30 // versions of the master dataset that others took the place of
)

// NewBuckets makes the buckets.
func NewBuckets(scope constructs.Construct, id string, props BucketsProps) *Buckets {
	scope = constructs.NewConstruct(scope, jsii.String(id))
	logs := awss3.NewBucket(scope, jsii.String("Logs"), &awss3.BucketProps{
		// S3 delivers access logs only to a bucket that it can encrypt by itself.
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		EnforceSSL:        jsii.Bool(true),
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		RemovalPolicy:     props.Removal,
		LifecycleRules:    &[]*awss3.LifecycleRule{{Expiration: days(keepLogs)}},
	})
	bucket := func(name string, change func(*awss3.BucketProps)) awss3.IBucket {
		made := &awss3.BucketProps{
			Encryption:             awss3.BucketEncryption_KMS,
			EncryptionKey:          props.Key,
			BucketKeyEnabled:       jsii.Bool(true), // else every object costs a call of KMS
			EnforceSSL:             jsii.Bool(true),
			MinimumTLSVersion:      jsii.Number(1.2),
			BlockPublicAccess:      awss3.BlockPublicAccess_BLOCK_ALL(),
			ObjectOwnership:        awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
			ServerAccessLogsBucket: logs,
			ServerAccessLogsPrefix: jsii.String(name + "/"),
			RemovalPolicy:          props.Removal,
			LifecycleRules:         &[]*awss3.LifecycleRule{{AbortIncompleteMultipartUploadAfter: days(abortUploads)}},
		}
		change(made)
		return awss3.NewBucket(scope, jsii.String(name), made)
	}
	expiring := func(after float64) func(*awss3.BucketProps) {
		return func(p *awss3.BucketProps) {
			*p.LifecycleRules = append(*p.LifecycleRules, &awss3.LifecycleRule{Expiration: days(after)})
		}
	}
	return &Buckets{
		Landing:   bucket("Landing", expiring(keepLanded)),
		Staging:   bucket("Staging", expiring(keepStaged)),
		Master:    bucket("Master", props.master),
		Views:     bucket("Views", func(*awss3.BucketProps) {}),
		Artifacts: bucket("Artifacts", expiring(keepJobs)),
		Logs:      logs,
	}
}

// master keeps every version of an object for a while, locked if that is asked for.
func (p BucketsProps) master(b *awss3.BucketProps) {
	b.Versioned = jsii.Bool(true)
	keep := max(keepReplaced, p.Master.LockDays)
	*b.LifecycleRules = append(*b.LifecycleRules, &awss3.LifecycleRule{NoncurrentVersionExpiration: days(float64(keep))})
	retention := awscdk.Duration_Days(jsii.Number(max(1, p.Master.LockDays)))
	switch p.Master.LockMode {
	case "governance":
		b.ObjectLockDefaultRetention = awss3.ObjectLockRetention_Governance(retention)
	case "compliance":
		b.ObjectLockDefaultRetention = awss3.ObjectLockRetention_Compliance(retention)
	}
}

func days(n float64) awscdk.Duration { return awscdk.Duration_Days(jsii.Number(n)) }
