-- time timestamp(3), timestamp
-- product varchar, string
-- sales bigint, bigint
-- priced bigint, bigint
-- revenue decimal(38,2), decimal(38,2)
-- cheapest decimal(12,2), decimal(12,2)
-- average decimal(38,8), decimal(38,8)
-- items decimal(38,0), decimal(38,0)
-- most bigint, bigint
-- last timestamp(6), timestamp
-- name varchar, string
WITH ws_cut AS (
  SELECT * FROM (VALUES
    ('shard-a', '003100.0000000003'),
    ('shard-b', '00277.0000000000')
  ) AS c (shard, through)
),
ws_stored AS (
  SELECT
    r."ws_position",
    r."ws_arrival",
    r."ws_outcome",
    r."ws_id_hi",
    r."ws_id_lo",
    r."ws_time_1h",
    r."product",
    r."price",
    r."sold_at",
    r."items",
    (c.through IS NULL OR r."ws_position" > c.through) AS ws_behind,
    row_number() OVER (PARTITION BY r."ws_shard", r."ws_position" ORDER BY CASE r."ws_outcome" WHEN 'erased' THEN 0 ELSE 1 END, r."ws_rowlogic" DESC, r."ws_hash_hi", r."ws_hash_lo") AS ws_copy
  FROM "watershed_sales"."rows" AS r
  LEFT JOIN ws_cut AS c ON r."ws_shard" = c.shard
  WHERE r."ws_shard" NOT LIKE 'load-%'
  AND r."ws_arrival" >= 1417297500000
),
ws_judged AS (
  SELECT
    "ws_position",
    "ws_arrival",
    CASE WHEN ws_again THEN 'duplicate' ELSE "ws_outcome" END AS "ws_outcome",
    "ws_id_hi",
    "ws_id_lo",
    "ws_time_1h",
    "product",
    "price",
    "sold_at",
    "items",
    ws_behind
  FROM (
    SELECT
      "ws_position",
      "ws_arrival",
      "ws_outcome",
      "ws_id_hi",
      "ws_id_lo",
      "ws_time_1h",
      "product",
      "price",
      "sold_at",
      "items",
      ws_behind,
      "ws_id_hi" IS NOT NULL AND "ws_outcome" <> 'erased' AND "ws_arrival" - lag("ws_arrival") OVER (PARTITION BY "ws_id_hi", "ws_id_lo", CASE WHEN "ws_id_hi" IS NULL THEN "ws_position" END ORDER BY "ws_position") <= 900000 AS ws_again
    FROM ws_stored
    WHERE ws_copy = 1
  )
),
ws_tail AS (
  SELECT
    CAST(from_unixtime(CAST(r."ws_time_1h" / 1000000 AS double)) AT TIME ZONE 'UTC' AS timestamp(3)) AS "time",
    r."product" AS "product",
    count(*) AS "sales",
    count(r."price") AS "priced",
    CAST(CAST(sum(CAST(r."price" AS decimal(38,0))) AS decimal(38,0)) * DECIMAL '0.01' AS decimal(38,2)) AS "revenue",
    CAST(CAST(min(r."price") AS decimal(38,0)) * DECIMAL '0.01' AS decimal(12,2)) AS "cheapest",
    CAST(CAST(sum(CAST(r."price" AS decimal(38,0))) AS decimal(38,0)) * DECIMAL '0.01' AS decimal(38,2)) AS "average_sum",
    count(r."price") AS "average_count",
    CAST(sum(CAST(r."items" AS decimal(38,0))) AS decimal(38,0)) AS "items",
    max(r."items") AS "most",
    CAST(from_unixtime_nanos(CAST(max(r."sold_at") AS decimal(38,0)) * 1000) AT TIME ZONE 'UTC' AS timestamp(6)) AS "last",
    min(r."product") AS "name"
  FROM ws_judged AS r
  WHERE r.ws_behind
  AND r."ws_outcome" = 'accepted'
  GROUP BY r."ws_time_1h", r."product"
),
ws_merged AS (
  SELECT
    "time",
    "product",
    sum("sales") AS "sales",
    sum("priced") AS "priced",
    sum("revenue") AS "revenue",
    min("cheapest") AS "cheapest",
    sum("average_sum") AS "average_sum",
    sum("average_count") AS "average_count",
    sum("items") AS "items",
    max("most") AS "most",
    max("last") AS "last",
    min("name") AS "name"
  FROM (
    SELECT
      "time",
      "product",
      "sales",
      "priced",
      "revenue",
      "cheapest",
      "average_sum",
      "average_count",
      "items",
      "most",
      CAST(from_unixtime_nanos(CAST("last" AS decimal(38,0)) * 1000) AT TIME ZONE 'UTC' AS timestamp(6)) AS "last",
      "name"
    FROM "watershed_sales"."by_product_versions"
    WHERE "version" = 'v00000007-XYZ'
    AND "$path" IN (
      's3://views/views/g1/v00000007-XYZ/by_product/a''1/part-0.parquet',
      's3://views/views/g1/v00000007-XYZ/by_product/a''1/part-1.parquet'
    )
    UNION ALL
    SELECT * FROM ws_tail
  )
  GROUP BY "time", "product"
)
SELECT
  "time",
  "product",
  "sales",
  "priced",
  "revenue",
  "cheapest",
  CAST(((CAST(replace(CAST("average_sum" AS varchar), '.', '') AS decimal(38,0)) - CAST(replace(CAST("average_sum" AS varchar), '.', '') AS decimal(38,0)) % CAST(nullif("average_count", 0) AS decimal(19,0))) / CAST(nullif("average_count", 0) AS decimal(19,0)) * 1000000 + ((CAST(replace(CAST("average_sum" AS varchar), '.', '') AS decimal(38,0)) % CAST(nullif("average_count", 0) AS decimal(19,0)) * 1000000) / CAST(nullif("average_count", 0) AS decimal(19,0))) - CASE WHEN abs((CAST(replace(CAST("average_sum" AS varchar), '.', '') AS decimal(38,0)) % CAST(nullif("average_count", 0) AS decimal(19,0)) * 1000000) % CAST(nullif("average_count", 0) AS decimal(19,0))) * 2 = CAST(nullif("average_count", 0) AS decimal(19,0)) AND ((CAST(replace(CAST("average_sum" AS varchar), '.', '') AS decimal(38,0)) % CAST(nullif("average_count", 0) AS decimal(19,0)) * 1000000) / CAST(nullif("average_count", 0) AS decimal(19,0))) % 2 <> 0 THEN sign((CAST(replace(CAST("average_sum" AS varchar), '.', '') AS decimal(38,0)) % CAST(nullif("average_count", 0) AS decimal(19,0)) * 1000000)) ELSE 0 END) * DECIMAL '0.00000001' AS decimal(38,8)) AS "average",
  "items",
  "most",
  "last",
  "name"
FROM ws_merged;
