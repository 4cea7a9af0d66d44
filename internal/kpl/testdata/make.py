"""Makes the golden files beside it, with other people's producers:

    python make.py   # with the packages of ../../kinesis/testdata/requirements.txt

Each line of a .txt file is a record of the stream in base64, then what its maker
put into it as JSON: a list of [partition key, explicit hash key or null, data in
base64]. A record that is no aggregate has null instead of the list.
"""

import base64
import json
import pathlib
import random

import aiokpl.aggregation
import aws_kinesis_agg.aggregator

here = pathlib.Path(__file__).parent


def contents(seed):
    """User records of all kinds: shared keys, empty and binary data, other scripts."""
    r = random.Random(seed)
    keys = [r.choice(["a", "product1", "é😀", "k" * 200, str(i)]) for i in range(r.choice([2, 3, 40]))]
    return [(k, r.choice([b"", b"\x00\xff\xf3\x89\x9a\xc2", b'{"product":"product1","price":1.5}', r.randbytes(300)])) for k in keys]


def line(record, users):
    listed = users and [[k, h, base64.b64encode(d).decode()] for k, h, d in users]
    return base64.b64encode(record).decode() + " " + json.dumps(listed) + "\n"


def by_aws_kinesis_agg(seed):
    aggregate = aws_kinesis_agg.aggregator.RecordAggregator()
    users = []
    for i, (key, data) in enumerate(contents(seed)):
        hash_key = str(i * 2**120) if seed % 2 else None
        assert aggregate.add_user_record(key, data, hash_key) is None
        users.append((key, hash_key, data))
    return line(aggregate.clear_and_get().get_contents()[2], users)


def by_aiokpl(seed):
    users = [(k, str(len(k)) if seed % 2 else None, d) for k, d in contents(seed)]
    tags = (aiokpl.aggregation.Tag("source", "till"), aiokpl.aggregation.Tag("bare"))
    records = [aiokpl.aggregation.UserRecord(k, d, h, tags if i % 3 == 0 else ()) for i, (k, h, d) in enumerate(users)]
    return line(aiokpl.aggregation.encode_aggregated(records), users)


def one_by_aiokpl():
    """A batch of one record is no aggregate."""
    return line(aiokpl.aggregation.encode_aggregated([aiokpl.aggregation.UserRecord("k", b"alone")]), None)


for name, lines in {
    "aws-kinesis-agg-1.2.3.txt": [by_aws_kinesis_agg(s) for s in range(8)],
    "aiokpl-0.2.0.txt": [by_aiokpl(s) for s in range(8)] + [one_by_aiokpl()],
}.items():
    (here / name).write_text("".join(lines))
