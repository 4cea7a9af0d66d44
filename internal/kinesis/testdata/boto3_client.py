"""Uses the endpoint named by the first argument as any boto3 program would; the
second is the token, or empty. Exits 0 if all is as with Kinesis."""

import datetime
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, token = sys.argv[1], sys.argv[2]
kinesis = boto3.client(
    "kinesis",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="watershed",
    aws_secret_access_key=token or "any",
    config=Config(retries={"total_max_attempts": 1}),
)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as e:
        got = e.response["Error"]["Code"]
        assert got == code, f"got {got}, want {code}"
        assert e.response["Error"]["Message"], "no message"
        assert e.response["ResponseMetadata"]["RequestId"], "no request id"
        # Typed, as programs catch it.
        typed = getattr(kinesis.exceptions, code, None)
        assert typed is None or isinstance(e, typed), f"{code} is not typed"
        return
    raise AssertionError(f"{call.__name__}: no error, want {code}")


def read(shard, **start):
    iterator = kinesis.get_shard_iterator(StreamName="sales", ShardId=shard, **start)["ShardIterator"]
    records = []
    while True:
        page = kinesis.get_records(ShardIterator=iterator, Limit=60)
        records += page["Records"]
        if page["MillisBehindLatest"] == 0:
            return records
        iterator = page["NextShardIterator"]


assert kinesis.list_streams()["StreamNames"] == ["sales"]
kinesis.get_waiter("stream_exists").wait(StreamName="sales")
summary = kinesis.describe_stream_summary(StreamName="sales")["StreamDescriptionSummary"]
assert summary["StreamStatus"] == "ACTIVE" and summary["EncryptionType"] == "NONE", summary
assert isinstance(summary["StreamCreationTimestamp"], datetime.datetime), summary
assert kinesis.list_tags_for_stream(StreamName="sales")["Tags"] == []
assert kinesis.describe_limits()["OpenShardCount"] == 3
shards = [s["ShardId"] for s in kinesis.list_shards(StreamARN=summary["StreamARN"])["Shards"]]
assert len(shards) == 3 == len(kinesis.describe_stream(StreamName="sales")["StreamDescription"]["Shards"])

before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
sent = {f"key-{i}-é😀": bytes([i % 256, 0, 255]) * i for i in range(500)}
put = kinesis.put_records(StreamName="sales", Records=[{"Data": d, "PartitionKey": k} for k, d in sent.items()])
assert put["FailedRecordCount"] == 0 and len(put["Records"]) == 500, put
one = kinesis.put_record(StreamName="sales", Data=b"", PartitionKey="empty", ExplicitHashKey="0")
assert one["ShardId"] == shards[0] and len(one["SequenceNumber"]) == 56, one
sent["empty"] = b""

got = {}
for shard in shards:
    for record in read(shard, ShardIteratorType="TRIM_HORIZON"):
        assert before < record["ApproximateArrivalTimestamp"] < before + datetime.timedelta(minutes=5), record
        got[record["PartitionKey"]] = record["Data"]
assert got == sent, f"{len(got)} of {len(sent)} records came back right"

last = one["SequenceNumber"]
assert [r["PartitionKey"] for r in read(shards[0], ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber=last)] == ["empty"]
assert read(shards[0], ShardIteratorType="AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=last) == []
assert read(shards[0], ShardIteratorType="LATEST") == []
assert len(read(shards[0], ShardIteratorType="AT_TIMESTAMP", Timestamp=before)) > 1

record = {"Data": b"x", "PartitionKey": "k"}
refused("ResourceNotFoundException", kinesis.describe_stream, StreamName="other")
refused("LimitExceededException", kinesis.create_stream, StreamName="other", ShardCount=1)
refused("ResourceInUseException", kinesis.create_stream, StreamName="sales", ShardCount=1)
refused("ValidationException", kinesis.put_records, StreamName="sales", Records=[record] * 501)
refused("ValidationException", kinesis.put_record, StreamName="sales", Data=b"x" * (1 << 20), PartitionKey="k")
refused("InvalidArgumentException", kinesis.get_records, ShardIterator="AAAA")
refused("UnsupportedOperationException", kinesis.register_stream_consumer, StreamARN=summary["StreamARN"], ConsumerName="c")

refused("InvalidArgumentException", kinesis.split_shard, StreamName="sales", ShardToSplit=shards[0], NewStartingHashKey="1")
refused("ResourceNotFoundException", kinesis.merge_shards, StreamName="sales", ShardToMerge=shards[0], AdjacentShardToMerge="shardId-000000000099")
kinesis.split_shard(StreamName="sales", ShardToSplit=shards[0], NewStartingHashKey="10")
scaled = kinesis.update_shard_count(StreamName="sales", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
assert (scaled["CurrentShardCount"], scaled["TargetShardCount"]) == (4, 2), scaled
opened = kinesis.list_shards(StreamName="sales", ShardFilter={"Type": "AT_LATEST"})["Shards"]
assert [s["HashKeyRange"]["StartingHashKey"] for s in opened] == ["0", str(2**127)], opened
page, listed = kinesis.list_shards(StreamName="sales", MaxResults=2), []
while listed.extend(page["Shards"]) or "NextToken" in page:
    page = kinesis.list_shards(NextToken=page["NextToken"], MaxResults=2)
assert len(listed) == len(kinesis.describe_stream(StreamName="sales")["StreamDescription"]["Shards"]) > 6, listed
iterator = kinesis.get_shard_iterator(StreamName="sales", ShardId=shards[0], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
ended, children = [], None
while children is None:
    page = kinesis.get_records(ShardIterator=iterator, Limit=100)
    ended += page["Records"]
    iterator = page.get("NextShardIterator")
    assert (iterator is None) == ("ChildShards" in page), page
    children = page.get("ChildShards")
assert [c["ParentShards"] for c in children] == [[shards[0]]] * 2 and len(ended) > 1, children

if token:
    other = boto3.client("kinesis", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="watershed", aws_secret_access_key="guess")
    refused("InvalidSignatureException", other.list_streams)
print("ok")
