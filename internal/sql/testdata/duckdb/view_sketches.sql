WITH ws_groups AS (
  SELECT
    make_timestamp(r."ws_time_1d") AS "time",
    r."product" AS "product",
    count(*) AS "sales",
    count(*) AS ws_parts
  FROM "rows" AS r
  WHERE r."ws_outcome" = 'accepted'
  AND r."ws_where_sketches"
  GROUP BY r."ws_time_1d", r."product"
),
ws_measure_2 AS (
  SELECT "time", "product", list(ws_element ORDER BY ws_element) AS "places_hashes"
  FROM (
    SELECT "time", "product", ws_element
    FROM (SELECT DISTINCT "time", "product", ws_element FROM (
      SELECT make_timestamp(r."ws_time_1d") AS "time", r."product" AS "product", r."ws_distinct_product" AS ws_element
      FROM "rows" AS r
      WHERE r."ws_outcome" = 'accepted'
      AND r."ws_where_sketches"
      AND r."ws_distinct_product" IS NOT NULL))
    QUALIFY row_number() OVER (PARTITION BY "time", "product" ORDER BY ws_element) <= 1024
  )
  GROUP BY "time", "product"
),
ws_measure_3 AS (
  SELECT "time", "product", list(ws_element ORDER BY ws_element) AS "prices_buckets", list(ws_times ORDER BY ws_element) AS "prices_counts"
  FROM (
    SELECT "time", "product", ws_element, CAST(sum(ws_times) AS BIGINT) AS ws_times
    FROM (
      SELECT make_timestamp(r."ws_time_1d") AS "time", r."product" AS "product", r."ws_bucket_price_0_01" AS ws_element, 1 AS ws_times
      FROM "rows" AS r
      WHERE r."ws_outcome" = 'accepted'
      AND r."ws_where_sketches"
      AND r."ws_bucket_price_0_01" IS NOT NULL)
    GROUP BY "time", "product", ws_element
  )
  GROUP BY "time", "product"
)
SELECT
  ws_groups."time" AS "time",
  ws_groups."product" AS "product",
  ws_groups."sales" AS "sales",
  coalesce(ws_measure_2."places_hashes", []) AS "places_hashes",
  coalesce(ws_measure_3."prices_buckets", []) AS "prices_buckets",
  coalesce(ws_measure_3."prices_counts", []) AS "prices_counts"
FROM ws_groups
LEFT JOIN ws_measure_2 ON ws_groups."time" IS NOT DISTINCT FROM ws_measure_2."time" AND ws_groups."product" IS NOT DISTINCT FROM ws_measure_2."product"
LEFT JOIN ws_measure_3 ON ws_groups."time" IS NOT DISTINCT FROM ws_measure_3."time" AND ws_groups."product" IS NOT DISTINCT FROM ws_measure_3."product"
ORDER BY ws_groups."time" NULLS FIRST, ws_groups."product" NULLS FIRST;
