"""Puts records into the stream sales at the endpoint named by the first argument,
with producers that aggregate as the Kinesis Producer Library does. Prints what
it put as JSON: each record's data and its partition key."""

import asyncio
import dataclasses
import hashlib
import json
import sys

import boto3
from aiokpl.config import Config
from aiokpl.producer import Producer
from aws_kinesis_agg.aggregator import RecordAggregator

endpoint = sys.argv[1]
credentials = {"aws_access_key_id": "watershed", "aws_secret_access_key": "any"}
kinesis = boto3.client("kinesis", endpoint_url=endpoint, region_name="us-east-1", **credentials)
put = {}


def shard_of(key):
    """The number of the shard that a key belongs to, while there are three."""
    return min(2, int.from_bytes(hashlib.md5(key.encode()).digest(), "big") // (2**128 // 3))


def with_aws_kinesis_agg():
    """It aggregates whatever it is given: a good producer gives it one shard's keys."""
    aggregators = [RecordAggregator(4_000) for _ in range(3)]
    full = []
    for i in range(300):
        key, data = f"key-{i % 40}-é", f"aws-kinesis-agg {i}"
        full.append(aggregators[shard_of(key)].add_user_record(key, data))
        put[data] = key
    for aggregate in full + [a.clear_and_get() for a in aggregators]:
        if aggregate is not None:
            key, _, data = aggregate.get_contents()
            kinesis.put_record(StreamName="sales", PartitionKey=key, Data=data)


async def send(producer, names):
    """Puts records and gives the names of those that failed."""
    outcomes = {}
    for name in names:
        put[name] = key = f"key-{int(name.split()[-1]) % 40}-é"
        outcomes[name] = await producer.put_record(stream="sales", partition_key=key, data=name.encode())
    return [name for name, outcome in outcomes.items() if not (await outcome.wait()).success]


async def ready(producer):
    """It aggregates once it has listed the shards."""
    while await send(producer, ["aiokpl first 0"]) or producer._pipelines["sales"].shard_map.updated_at is None:
        await asyncio.sleep(0.01)


async def with_aiokpl():
    config = Config(region="us-east-1", endpoint_url=endpoint, **credentials)
    async with Producer(config) as producer:
        await ready(producer)
        assert not await send(producer, [f"aiokpl before {i}" for i in range(400)])
    # This one does not hear of the reshard: it aggregates by the shards as they
    # were, sees that records went to the wrong one, and tries again until their
    # time is up.
    async with Producer(dataclasses.replace(config, record_ttl_ms=300)) as producer:
        await ready(producer)
        kinesis.update_shard_count(StreamName="sales", TargetShardCount=5, ScalingType="UNIFORM_SCALING")
        failed = await send(producer, [f"aiokpl after {i}" for i in range(400)])
    async with Producer(config) as producer:
        await ready(producer)
        assert not await send(producer, failed)


with_aws_kinesis_agg()
asyncio.run(with_aiokpl())
print(json.dumps(put))
