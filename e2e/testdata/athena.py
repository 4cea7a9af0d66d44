"""Runs a query in a workgroup of Athena and prints its rows, one JSON list a line; or
prints the text of a view in the catalog.

    athena.py query WORKGROUP DATABASE SQL
    athena.py view DATABASE VIEW
"""

import json
import sys
import time

import boto3


def query(group, database, sql):
    athena = boto3.client("athena")
    run = athena.start_query_execution(QueryString=sql, WorkGroup=group, QueryExecutionContext={"Database": database})["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=run)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            break
        if status["State"] in ("FAILED", "CANCELLED"):
            sys.exit(f"{status['State']}: {status.get('StateChangeReason')}")
        time.sleep(0.2)
    for row in athena.get_query_results(QueryExecutionId=run)["ResultSet"]["Rows"]:
        print(json.dumps([c.get("VarCharValue") for c in row["Data"]]))


def view(database, name):
    print(boto3.client("glue").get_table(DatabaseName=database, Name=name)["Table"]["ViewOriginalText"])


{"query": query, "view": view}[sys.argv[1]](*sys.argv[2:])
