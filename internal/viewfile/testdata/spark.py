"""Makes spark.parquet, a view's file as glue/batch.py stores it, but for its size:
pages of 50 rows. With Spark of .tools (make spark):

    .tools/spark/bin/spark-submit internal/viewfile/testdata/spark.py
"""

import pathlib
import shutil
import sys
import tempfile

from pyspark.sql import SparkSession

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parents[2] / "glue"))
import batch  # noqa: E402

spark = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
for key, value in batch.SETTINGS.items():
    spark.conf.set(key, value)
rows = spark.sql("""
    SELECT
      timestamp_micros((id div 2 - 100) * 60000000) AS time,
      IF(id % 2 = 0, NULL, concat('p', id)) AS product,
      CAST(id * 0.01 - 1 AS DECIMAL(12,2)) AS price,
      CAST(id * 0.001 AS DECIMAL(4,3)) AS tiny,
      id % 3 = 0 AS yes,
      date_from_unix_date(CAST(id - 300 AS INT)) AS day,
      id AS n,
      CAST(concat('-', id, '00000000000000000000.25') AS DECIMAL(38,2)) AS revenue,
      id / 8 AS heat,
      IF(id % 5 = 0, array(), transform(sequence(1, id % 5), x -> (id - 300) * 10 + x)) AS places_hashes,
      IF(id % 4 = 0, array(), array(-7, id)) AS prices_buckets,
      IF(id % 4 = 0, array(), array(1, id + 1)) AS prices_counts
    FROM range(0, 600, 1, 1)
""")
with tempfile.TemporaryDirectory() as folder:
    options = {**batch.PARQUET, "parquet.page.row.count.limit": "50", "parquet.page.size.row.check.min": "10"}
    rows.coalesce(1).write.options(**options).parquet(folder + "/view")
    [stored] = pathlib.Path(folder, "view").glob("*.parquet")
    shutil.copy(stored, here / "spark.parquet")
spark.stop()
