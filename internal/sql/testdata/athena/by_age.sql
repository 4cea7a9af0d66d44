-- time timestamp(3), timestamp
-- product varchar, string
-- sales bigint, bigint
WITH ws_cut AS (
  SELECT * FROM (VALUES
    ('shard-a', '003100.0000000003'),
    ('shard-b', '00277.0000000000')
  ) AS c (shard, through)
),
ws_stored AS (
  SELECT
    r."ws_outcome",
    r."ws_time_1h",
    r."ws_time_1d",
    r."ws_time_1mo",
    r."product",
    (c.through IS NULL OR r."ws_position" > c.through) AS ws_behind,
    row_number() OVER (PARTITION BY r."ws_shard", r."ws_position" ORDER BY CASE r."ws_outcome" WHEN 'erased' THEN 0 ELSE 1 END, r."ws_rowlogic" DESC, r."ws_hash_hi", r."ws_hash_lo") AS ws_copy
  FROM "watershed_sales"."rows" AS r
  LEFT JOIN ws_cut AS c ON r."ws_shard" = c.shard
  WHERE r."ws_shard" NOT LIKE 'load-%'
  AND r."ws_arrival" >= 1417302000000
  AND (c.through IS NULL OR r."ws_position" > c.through)
),
ws_judged AS (
  SELECT
    "ws_outcome",
    "ws_time_1h",
    "ws_time_1d",
    "ws_time_1mo",
    "product",
    ws_behind
  FROM ws_stored
  WHERE ws_copy = 1
),
ws_tail AS (
  SELECT
    CAST(from_unixtime(CAST(CASE WHEN r."ws_time_1mo" < 1412121600000000 THEN r."ws_time_1mo" WHEN r."ws_time_1d" < 1416787200000000 THEN r."ws_time_1d" ELSE r."ws_time_1h" END / 1000000 AS double)) AT TIME ZONE 'UTC' AS timestamp(3)) AS "time",
    r."product" AS "product",
    count(*) AS "sales"
  FROM ws_judged AS r
  WHERE r.ws_behind
  AND r."ws_outcome" = 'accepted'
  GROUP BY CASE WHEN r."ws_time_1mo" < 1412121600000000 THEN r."ws_time_1mo" WHEN r."ws_time_1d" < 1416787200000000 THEN r."ws_time_1d" ELSE r."ws_time_1h" END, r."product"
),
ws_merged AS (
  SELECT
    "time",
    "product",
    sum("sales") AS "sales"
  FROM (
    SELECT
      "time",
      "product",
      "sales"
    FROM "watershed_sales"."by_age_versions"
    WHERE "version" = 'v00000007-XYZ'
    AND "$path" IN (
      's3://views/views/g1/v00000007-XYZ/by_age/a''1/part-0.parquet',
      's3://views/views/g1/v00000007-XYZ/by_age/a''1/part-1.parquet'
    )
    UNION ALL
    SELECT * FROM ws_tail
  )
  GROUP BY "time", "product"
)
SELECT
  "time",
  "product",
  "sales"
FROM ws_merged;
