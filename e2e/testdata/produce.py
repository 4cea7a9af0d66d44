"""Puts records into a stream with boto3. Each line on stdin is a record: a list of
events, {"key": ..., "data": base64}; several are aggregated as the KPL does it."""

import base64
import json
import sys

import boto3
from aws_kinesis_agg.aggregator import RecordAggregator

kinesis = boto3.client("kinesis")
stream = sys.argv[1]


def record(events):
    events = [(e["key"], base64.b64decode(e["data"])) for e in events]
    if len(events) == 1:
        (key, data), hash_key = events[0], None
    else:
        aggregator = RecordAggregator()
        for key, data in events:
            aggregator.add_user_record(key, data)
        key, hash_key, data = aggregator.clear_and_get().get_contents()
    entry = {"PartitionKey": key, "Data": data}
    return entry | {"ExplicitHashKey": str(hash_key)} if hash_key else entry


records = [record(json.loads(line)) for line in sys.stdin]
for i in range(0, len(records), 100):
    answer = kinesis.put_records(StreamName=stream, Records=records[i : i + 100])
    if answer["FailedRecordCount"]:
        sys.exit(f"{answer['FailedRecordCount']} records were refused")
