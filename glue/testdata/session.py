"""Runs the driver on one job after the other in one Spark, for tests: Spark takes
longer to start than to compute small views.

    spark-submit session.py PIPE

Reads the jobs' URIs from a named pipe, one a line, and answers each with a line on
standard output: "reply: null", or an error as JSON. spark-submit gives a program no
standard input.
"""

import json
import logging
import pathlib
import sys

from pyspark.sql import SparkSession

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import batch  # noqa: E402

logging.basicConfig(level=logging.INFO)
logging.getLogger("py4j").setLevel(logging.WARNING)
spark = SparkSession.builder.getOrCreate()
print("reply: null", flush=True)
with open(sys.argv[1]) as jobs:
    for line in jobs:
        error = None
        try:
            # A session of its own, as every job has on AWS: settings and relations end with it.
            batch.run(spark.newSession(), line.strip())
        except Exception as e:
            error = f"{type(e).__name__}: {e}"
        finally:
            spark.catalog.clearCache()
        print("reply: " + json.dumps(error), flush=True)
