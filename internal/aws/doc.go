// Package aws is the ports' home on AWS: ledger, real-time items and loads in two
// tables of DynamoDB, master dataset and views in buckets of S3.
//
// Both tables have a partition key pk and a sort key sk, texts:
//
//	items   G#SHARD#BUCKET     VIEW#TIME#DIMS#EPOCH        a real-time item
//	        G#SHARD#segments   POSITION#PART               a dedup segment
//	        G#shards           SHARD                       says that SHARD has items, in how many buckets
//	ledger  G#rows             SHARD                       a ledger row
//	        G#pointer          pointer                     the pointer
//	        G#plans            RUN                         a run's plan
//	        G#journals         NAME                        how a layer stands
//	        G#notes            SHARD                       where a reader last found a shard's tip
//	        #loads             SHARD                       a load, of no generation
//	        #generation        #generation                 the generation that the stores are of
//
// G is the generation. DIMS is the SHA-256 of the dimension values, so that values
// of any length make a key; TIME, DIMS and EPOCH are hexadecimal digits of a fixed
// length, so that texts sort as numbers do. What an item says in its key is not
// stored again.
//
// Every read is strongly consistent. Every write is conditional where the protocol
// asks for it, by one condition expression, and idempotent where it does not, so
// the SDK may send it again. A conditional write carries an id of its own: if the
// reply was lost and the repeat fails, the stored id says that it had landed.
//
// The package knows the ports, and no layer.
package aws
