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
WITH ws_stored AS (
  SELECT
    r."ws_outcome",
    r."ws_time_1h",
    r."product",
    r."price",
    r."sold_at",
    r."items",
    true AS ws_behind,
    row_number() OVER (PARTITION BY r."ws_shard", r."ws_position" ORDER BY CASE r."ws_outcome" WHEN 'erased' THEN 0 ELSE 1 END, r."ws_rowlogic" DESC, r."ws_hash_hi", r."ws_hash_lo") AS ws_copy
  FROM "watershed_sales"."rows" AS r
  WHERE r."ws_shard" NOT LIKE 'load-%'
),
ws_judged AS (
  SELECT
    "ws_outcome",
    "ws_time_1h",
    "product",
    "price",
    "sold_at",
    "items",
    ws_behind
  FROM ws_stored
  WHERE ws_copy = 1
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
