"""Computes the batch views of one version with Spark, on Glue and on EMR.

    spark-submit batch.py --job s3://ARTIFACTS/jobs/GENERATION/RUN/1.json

The job says everything: the files to read, the statements, the queries and where
their rows go (package internal/job holds its format). This driver knows nothing of
events, measures and versions. It runs what it is given, compares the figures of the
rows with what they must be, stores each view in order, and last of all writes the
result, which names the files.

A job may run again, also beside an attempt that was thought dead: every attempt
stores its files in folders of its own, and only its result names them.
"""

import argparse
import json
import logging
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

FORMAT = 1

KEYS = {
    "format", "pipeline", "generation", "run", "version", "files", "columns",
    "rows", "figures", "check", "views", "result",
}

TYPES = {
    "string": T.StringType(),
    "bigint": T.LongType(),
    "int": T.IntegerType(),
    "boolean": T.BooleanType(),
    "double": T.DoubleType(),
}

# Of the session, for reading and storing files. What the statements rely on, they
# set themselves.
SETTINGS = {
    # A file that is missing or damaged is an error, never fewer rows.
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    # Times and dates as they are, in the one calendar, also those before 1900.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.writeLegacyFormat": "false",
    # As many files as their size asks for, each of about 64 MB when it is shuffled.
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
}

# Of the files of a view. A query looks for few rows of them: small pages, with an
# index of their bounds, which Spark always writes.
PARQUET = {
    "compression": "zstd",
    "parquet.block.size": str(16 << 20),
    "parquet.page.size": str(64 << 10),
    "parquet.page.row.count.limit": "2048",
    "mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}

AT_A_TIME = 4  # views

log = logging.getLogger("watershed")


def main():
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    log.setLevel(logging.INFO)
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0], allow_abbrev=False)
    parser.add_argument("--job", required=True, metavar="URI", help="the job, an object in S3")
    # Glue adds arguments of its own.
    arguments, _ = parser.parse_known_args()
    spark = SparkSession.builder.appName("watershed").getOrCreate()
    try:
        run(spark, arguments.job)
    finally:
        spark.stop()


def run(spark, place):
    """Runs the job at a place, an URI, and writes its result."""
    # Else S3A, wherever it stores an object, deletes the empty objects that may stand
    # for the folders above it. There are none, and the driver's role may not.
    spark.sparkContext._jsc.hadoopConfiguration().set("fs.s3a.directory.marker.retention", "keep")
    job = read_job(spark, place)
    for key, value in SETTINGS.items():
        spark.conf.set(key, value)
    log.info("pipeline %s, version %s: %d files, %d views", job["pipeline"], job["version"], len(job["files"]), len(job["views"]))
    clock = Clock()
    register(spark, job)
    for statement in job["rows"]:
        spark.sql(statement)
    clock.lap("rows")
    figures = read_figures(spark, job["figures"])
    balanced = equal(figures, job["check"])
    clock.lap("figures")
    views = {}
    if balanced:
        log.info("the figures of %d shards are as they must be", len(job["check"]))
        views = store_all(spark, job["views"])
        clock.lap("views")
    else:
        log.warning("the figures are not what they must be: no view is computed")
    write_text(spark, job["result"], json.dumps({
        "format": FORMAT,
        "version": job["version"],
        "figures": figures,
        "balanced": balanced,
        "views": views,
        "engine": "Spark " + spark.version,
        "seconds": clock.laps,
    }))
    log.info("the result is at %s", job["result"])


def read_job(spark, place):
    """Reads a job, if it is one that this driver knows all about."""
    job = json.loads(read_text(spark, place))
    if not isinstance(job, dict) or job.get("format") != FORMAT:
        found = job.get("format") if isinstance(job, dict) else None
        raise ValueError(f"reading the job {place}: it is in format {found}, and this driver knows format {FORMAT}; "
                         "the driver and the batch function must be of one release")
    if set(job) != KEYS:
        odd = ", ".join(sorted(set(job) ^ KEYS))
        raise ValueError(f"reading the job {place}: the keys {odd} are missing or unknown; "
                         "the driver and the batch function must be of one release")
    for column in job["columns"]:
        if column["type"] not in TYPES:
            raise ValueError(f"reading the job {place}: column {column['name']} has the unknown type {column['type']}")
    for file in job["files"]:
        # Spark leaves out files with such names, even when they are asked for.
        if file.rsplit("/", 1)[-1].startswith(("_", ".")):
            raise ValueError(f"reading the job {place}: Spark does not read {file}, whose name begins with _ or a dot")
    return job


def register(spark, job):
    """Makes the relation `files` of exactly the files listed."""
    schema = T.StructType([T.StructField(c["name"], TYPES[c["type"]]) for c in job["columns"]])
    if job["files"]:
        # A path is no pattern, and no folder's name is a column.
        paths = [re.sub(r"([\\{}\[\]*?])", r"\\\1", f) for f in job["files"]]
        frame = spark.read.schema(schema).option("recursiveFileLookup", "true").parquet(*paths)
    else:
        frame = spark.range(0).select([F.lit(None).cast(f.dataType).alias(f.name) for f in schema])
    frame.createOrReplaceTempView("files")


def read_figures(spark, query):
    """Gives count and sums of hashes of each shard, the sums modulo 2^64."""
    return {
        shard: {"count": str(count), "hi": str(int(high) % 2**64), "lo": str(int(low) % 2**64)}
        for shard, count, high, low in spark.sql(query).collect()
    }


def equal(figures, check):
    """Reports whether the figures are what they must be. A shard without rows has none."""
    none = {"count": "0", "hi": "0", "lo": "0"}
    return all(figures.get(shard, none) == check.get(shard, none) for shard in set(figures) | set(check))


def store_all(spark, views):
    """Stores all views, some at a time: while one waits for S3, another computes."""
    attempt = uuid.uuid4().hex
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        stored = [pool.submit(store, spark, view, attempt) for view in views]
        try:
            return {view["name"]: files.result() for view, files in zip(views, stored)}
        except BaseException:
            # One error ends the job: the other views need not be computed to the end.
            pool.shutdown(wait=False, cancel_futures=True)
            spark.sparkContext.cancelAllJobs()
            raise


def store(spark, view, attempt):
    """Stores a view's rows in order, and gives its files with their rows, in order too."""
    started = time.monotonic()
    frame = spark.sql(view["query"])
    if view["order"]:
        # Ranges of the order, one a file; Spark numbers the files by them.
        frame = frame.orderBy(*[F.col(quoted(c)).asc_nulls_first() for c in view["order"]])
    else:
        frame = frame.coalesce(1)
    folder = view["output"] + attempt + "/"
    frame.write.options(**PARQUET).parquet(folder)
    counted = spark.read.schema(frame.schema).parquet(folder).groupBy("_metadata.file_name").count().collect()
    files = [{"name": f"{view['name']}/{attempt}/{name}", "rows": rows} for name, rows in sorted(counted)]
    log.info("view %s: %d rows in %d files, %.1f s", view["name"], sum(f["rows"] for f in files), len(files), time.monotonic() - started)
    return files


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


class Clock:
    """Takes the seconds of each step."""

    def __init__(self):
        self.laps, self.last = {}, time.monotonic()

    def lap(self, step):
        now = time.monotonic()
        self.laps[step], self.last = round(now - self.last, 3), now


# Single objects, through Hadoop's file systems: the one that Spark reads s3:// with
# has its credentials already.

def hadoop(spark, place):
    path = spark.sparkContext._jvm.org.apache.hadoop.fs.Path(place)
    return path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()), path


def read_text(spark, place):
    system, path = hadoop(spark, place)
    stream = system.open(path)
    try:
        return bytes(spark.sparkContext._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)).decode()
    finally:
        stream.close()


def write_text(spark, place, text):
    system, path = hadoop(spark, place)
    stream = system.create(path, True)
    stream.write(text.encode())
    # The object is there when this returns, and not before.
    stream.close()


if __name__ == "__main__":
    main()
