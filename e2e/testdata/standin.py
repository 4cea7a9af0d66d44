"""Starts ministack 1.5.33 with what would hide the pipeline's faults or make some up
put right:

- It does not know which stream GetRecords reads, so no policy of a role allows it.
- Its sequence numbers begin with zeros. Kinesis's are numbers of 56 digits.
- Its Firehose hands the transform records without their place in the stream, takes
  no KPL aggregate apart, and writes an object for every record while the producer
  waits. Here a delivery once a second is in its place; the transform, the
  conversion to Parquet by the catalog's table, prefixes and bucket stay ministack's.
- It refuses stacks with some types of resources. Here these are made of nothing.
"""

import base64
import itertools
import json
import threading
import time
import traceback

from aws_kinesis_agg import deaggregator
from ministack import app
from ministack.core import iam_actions, responses
from ministack.services import firehose, kinesis, lambda_svc
from ministack.services.cloudformation import provisioners

INTERVAL = 1.0  # seconds between objects; AWS's shortest is 60
MOST = 400  # events in one invocation of the transform


def plain(data):
    """The bytes of a stored record, which ministack keeps in either form."""
    return data if isinstance(data, bytes) else base64.b64decode(data)


def events(shard, record):
    """What Firehose hands over of a record: each of an aggregate's records."""
    arrival = round(record["ApproximateArrivalTimestamp"] * 1000)
    whole = {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "sequenceNumber": record["SequenceNumber"],
            "partitionKey": record["PartitionKey"],
            "approximateArrivalTimestamp": arrival,
            "data": base64.b64encode(plain(record["Data"])).decode(),
        }
    }
    for part in deaggregator.iter_deaggregate_records([whole]):
        part = part["kinesis"]
        sub = part.get("subSequenceNumber", 0)
        data = part["data"]
        yield {
            "recordId": f"{part['sequenceNumber']}{sub:06d}",
            "approximateArrivalTimestamp": arrival,
            "data": data if isinstance(data, str) else data.decode(),
            "kinesisRecordMetadata": {
                "shardId": shard,
                "partitionKey": part["partitionKey"],
                "approximateArrivalTimestamp": arrival,
                "sequenceNumber": part["sequenceNumber"],
                "subsequenceNumber": sub,
            },
        }


def transform(stream, destination, batch):
    """The transform's answer to a batch; one that fails is asked again, as AWS does
    for longer."""
    processors = destination["config"]["ProcessingConfiguration"]["Processors"]
    parameters = {p["ParameterName"]: p["ParameterValue"] for p in processors[0]["Parameters"]}
    name, qualifier = lambda_svc._resolve_name_and_qualifier(parameters["LambdaArn"])
    function, _ = lambda_svc._get_func_record_for_qualifier(name, qualifier)
    for _ in range(3):
        answer = lambda_svc._execute_function(function, {
            "invocationId": responses.new_uuid(),
            "deliveryStreamArn": stream["arn"],
            "sourceKinesisStreamArn": stream["kinesis_source"]["KinesisStreamARN"],
            "region": responses.get_region(),
            "records": batch,
        })
        if not answer.get("error"):
            break
        print("firehose: the transform failed:", answer, flush=True)
    else:
        return [{"recordId": r["recordId"], "result": "ProcessingFailed", "data": r["data"]} for r in batch]
    body = answer["body"]
    return (json.loads(body) if isinstance(body, (str, bytes)) else body)["records"]


def deliver(stream, destination, batch):
    """Writes a batch: its rows as one object, what failed as another."""
    answers = transform(stream, destination, batch)
    rows = b"".join(base64.b64decode(a["data"]) for a in answers if a["result"] == "Ok")
    failed = [a for a in answers if a["result"] == "ProcessingFailed"]
    if rows:
        firehose._deliver_to_s3(stream, destination, rows)
    if failed:
        config = destination["config"]
        now = time.gmtime()
        prefix = firehose._evaluate_prefix(config["ErrorOutputPrefix"], now, error_type="processing-failed")
        bucket = firehose._s3_bucket_from_arn(config["BucketARN"])
        text = "".join(json.dumps({"errorCode": "Lambda.ProcessingFailedStatus", "rawData": a["data"]}) + "\n" for a in failed)
        firehose._put_s3_object(bucket, prefix + responses.new_uuid(), text.encode())


read = {}  # of a delivery stream and shard: how many records were delivered


def look(name, stream, started):
    """Delivers what came since the last look. Firehose starts at LATEST."""
    source = (stream.get("kinesis_source") or {}).get("KinesisStreamARN")
    log = next((s for s in kinesis._streams.values() if s["StreamARN"] == source), None)
    if stream["status"] != "ACTIVE" or log is None:
        return
    for shard, held in log["shards"].items():
        at = read.setdefault((name, shard), len(held["records"]) if started else 0)
        records = held["records"][at:]
        pending = [e for r in records for e in events(shard, r)]
        for i in range(0, len(pending), MOST):
            for destination in stream["destinations"]:
                deliver(stream, destination, pending[i : i + MOST])
        read[name, shard] = at + len(records)


def forever():
    known = set()
    while True:
        time.sleep(INTERVAL)
        for (account, region, name), stream in list(firehose._streams._data.items()):
            responses._request_account_id.set(account)
            responses._request_region.set(region)
            try:
                look(name, stream, started=name not in known)
            except Exception:
                traceback.print_exc()
            known.add(name)


resource = iam_actions.extract_resource_arn


def extract_resource_arn(service, method, path, headers, body, *more):
    """The resource that a call is for, also of a read by an iterator of a shard."""
    if service == "kinesis" and headers.get("x-amz-target", "").endswith(".GetRecords"):
        iterator = kinesis._shard_iterators.get(json.loads(body).get("ShardIterator", ""))
        if iterator:
            return iterator["stream_arn"]
    return resource(service, method, path, headers, body, *more)


iam_actions.extract_resource_arn = extract_resource_arn

for kind in ("AWS::Athena::NamedQuery", "AWS::Glue::SecurityConfiguration"):
    provisioners._RESOURCE_HANDLERS.setdefault(kind, {
        "create": lambda logical, properties, stack: (properties.get("Name") or f"{stack}-{logical}", {}),
        "delete": lambda physical, properties: None,
    })
numbers = itertools.count(1)
kinesis._next_sequence_number = lambda: f"49{time.time_ns() // 10**6:016d}{next(numbers):038d}"
firehose.ingest_from_kinesis_source = lambda stream_arn, records: None
threading.Thread(target=forever, daemon=True).start()
app.main()
