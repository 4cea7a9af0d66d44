-- time timestamp(3), timestamp
-- product varchar, string
-- sales bigint, bigint
-- places bigint, bigint
-- prices_p50 decimal(38,4), decimal(38,4)
-- prices_p90 decimal(38,4), decimal(38,4)
-- prices_p99 decimal(38,4), decimal(38,4)
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
    r."ws_time_1d",
    r."ws_distinct_product",
    r."ws_bucket_price_0_01",
    r."ws_where_sketches",
    r."product",
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
    "ws_time_1d",
    "ws_distinct_product",
    "ws_bucket_price_0_01",
    "ws_where_sketches",
    "product",
    ws_behind
  FROM (
    SELECT
      "ws_position",
      "ws_arrival",
      "ws_outcome",
      "ws_id_hi",
      "ws_id_lo",
      "ws_time_1d",
      "ws_distinct_product",
      "ws_bucket_price_0_01",
      "ws_where_sketches",
      "product",
      ws_behind,
      "ws_id_hi" IS NOT NULL AND "ws_outcome" <> 'erased' AND "ws_arrival" - lag("ws_arrival") OVER (PARTITION BY "ws_id_hi", "ws_id_lo", CASE WHEN "ws_id_hi" IS NULL THEN "ws_position" END ORDER BY "ws_position") <= 900000 AS ws_again
    FROM ws_stored
    WHERE ws_copy = 1
  )
),
ws_tail AS (
  SELECT
    CAST(from_unixtime(CAST(r."ws_time_1d" / 1000000 AS double)) AT TIME ZONE 'UTC' AS timestamp(3)) AS "time",
    r."product" AS "product",
    count(*) AS "sales",
    coalesce(array_agg(DISTINCT r."ws_distinct_product") FILTER (WHERE r."ws_distinct_product" IS NOT NULL), ARRAY[]) AS "places_hashes",
    coalesce(map_entries(histogram(r."ws_bucket_price_0_01") FILTER (WHERE r."ws_bucket_price_0_01" IS NOT NULL)), ARRAY[]) AS "prices_buckets"
  FROM ws_judged AS r
  WHERE r.ws_behind
  AND r."ws_outcome" = 'accepted'
  AND r."ws_where_sketches"
  GROUP BY r."ws_time_1d", r."product"
),
ws_merged AS (
  SELECT
    "time",
    "product",
    sum("sales") AS "sales",
    slice(array_sort(array_distinct(flatten(array_agg("places_hashes")))), 1, 1024) AS "places_hashes",
    array_sort(flatten(array_agg("prices_buckets"))) AS "prices_buckets"
  FROM (
    SELECT
      "time",
      "product",
      "sales",
      "places_hashes",
      zip("prices_buckets", "prices_counts") AS "prices_buckets"
    FROM "watershed_sales"."sketches_versions"
    WHERE "version" = 'v00000007-XYZ'
    AND "$path" IN (
      's3://views/views/g1/v00000007-XYZ/sketches/a''1/part-0.parquet',
      's3://views/views/g1/v00000007-XYZ/sketches/a''1/part-1.parquet'
    )
    UNION ALL
    SELECT * FROM ws_tail
  )
  GROUP BY "time", "product"
),
ws_middles AS (
  SELECT
    CAST(split('0.0100 0.0133 ...', ' ') AS array(decimal(38,4))) AS of_1
)
SELECT
  "time",
  "product",
  "sales",
  CASE WHEN cardinality("places_hashes") < 1024 THEN cardinality("places_hashes") ELSE CAST(least(greatest((DECIMAL '18871019187404871303168' - DECIMAL '18871019187404871303168' % (CAST(element_at("places_hashes", 1024) AS decimal(20,0)) + DECIMAL '9223372036854775809')) / (CAST(element_at("places_hashes", 1024) AS decimal(20,0)) + DECIMAL '9223372036854775809'), 1024), DECIMAL '9223372036854775807') AS bigint) END AS "places",
  reduce(
    "prices_buckets",
    CAST(ROW((reduce("prices_buckets", CAST(0 AS bigint), (n, x) -> n + x[2], n -> n) - 1) * 5 / 10, NULL) AS row(bigint, bigint)),
    (s, x) -> CASE WHEN s[2] IS NOT NULL THEN s WHEN x[2] > s[1] THEN CAST(ROW(0, x[1]) AS row(bigint, bigint)) ELSE CAST(ROW(s[1] - x[2], NULL) AS row(bigint, bigint)) END,
    s -> CASE WHEN s[2] = 0 THEN 0 WHEN s[2] < 0 THEN -element_at(ws_middles.of_1, -s[2]) ELSE element_at(ws_middles.of_1, s[2]) END
  ) AS "prices_p50",
  reduce(
    "prices_buckets",
    CAST(ROW((reduce("prices_buckets", CAST(0 AS bigint), (n, x) -> n + x[2], n -> n) - 1) * 9 / 10, NULL) AS row(bigint, bigint)),
    (s, x) -> CASE WHEN s[2] IS NOT NULL THEN s WHEN x[2] > s[1] THEN CAST(ROW(0, x[1]) AS row(bigint, bigint)) ELSE CAST(ROW(s[1] - x[2], NULL) AS row(bigint, bigint)) END,
    s -> CASE WHEN s[2] = 0 THEN 0 WHEN s[2] < 0 THEN -element_at(ws_middles.of_1, -s[2]) ELSE element_at(ws_middles.of_1, s[2]) END
  ) AS "prices_p90",
  reduce(
    "prices_buckets",
    CAST(ROW((reduce("prices_buckets", CAST(0 AS bigint), (n, x) -> n + x[2], n -> n) - 1) * 99 / 100, NULL) AS row(bigint, bigint)),
    (s, x) -> CASE WHEN s[2] IS NOT NULL THEN s WHEN x[2] > s[1] THEN CAST(ROW(0, x[1]) AS row(bigint, bigint)) ELSE CAST(ROW(s[1] - x[2], NULL) AS row(bigint, bigint)) END,
    s -> CASE WHEN s[2] = 0 THEN 0 WHEN s[2] < 0 THEN -element_at(ws_middles.of_1, -s[2]) ELSE element_at(ws_middles.of_1, s[2]) END
  ) AS "prices_p99"
FROM ws_merged
CROSS JOIN ws_middles;
