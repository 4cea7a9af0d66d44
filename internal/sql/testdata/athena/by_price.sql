-- price decimal(12,2), decimal(12,2)
-- sold_at timestamp(6), timestamp
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
    r."price",
    r."sold_at",
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
    "price",
    "sold_at",
    ws_behind
  FROM ws_stored
  WHERE ws_copy = 1
),
ws_tail AS (
  SELECT
    CAST(CAST(r."price" AS decimal(38,0)) * DECIMAL '0.01' AS decimal(12,2)) AS "price",
    CAST(from_unixtime_nanos(CAST(r."sold_at" AS decimal(38,0)) * 1000) AT TIME ZONE 'UTC' AS timestamp(6)) AS "sold_at",
    count(*) AS "sales"
  FROM ws_judged AS r
  WHERE r.ws_behind
  AND r."ws_outcome" = 'accepted'
  GROUP BY r."price", r."sold_at"
),
ws_merged AS (
  SELECT
    "price",
    "sold_at",
    sum("sales") AS "sales"
  FROM (
    SELECT
      "price",
      CAST(from_unixtime_nanos(CAST("sold_at" AS decimal(38,0)) * 1000) AT TIME ZONE 'UTC' AS timestamp(6)) AS "sold_at",
      "sales"
    FROM "watershed_sales"."by_price_versions"
    WHERE "version" = 'v00000007-XYZ'
    AND "$path" IN (
      's3://views/views/g1/v00000007-XYZ/by_price/a''1/part-0.parquet',
      's3://views/views/g1/v00000007-XYZ/by_price/a''1/part-1.parquet'
    )
    UNION ALL
    SELECT * FROM ws_tail
  )
  GROUP BY "price", "sold_at"
)
SELECT
  "price",
  "sold_at",
  "sales"
FROM ws_merged;
