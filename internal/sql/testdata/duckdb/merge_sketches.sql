WITH ws_states AS (
  SELECT "time", "product", "sales", "places_hashes", "prices_buckets", "prices_counts" FROM old
  UNION ALL
  SELECT "time", "product", "sales", "places_hashes", "prices_buckets", "prices_counts" FROM new
),
ws_groups AS (
  SELECT "time", "product", CAST(sum("sales") AS BIGINT) AS "sales", count(*) AS ws_parts
  FROM ws_states
  GROUP BY "time", "product"
),
ws_measure_2 AS (
  SELECT "time", "product", list(ws_element ORDER BY ws_element) AS "places_hashes"
  FROM (
    SELECT "time", "product", ws_element
    FROM (SELECT DISTINCT "time", "product", ws_element FROM (
      SELECT "time", "product", unnest("places_hashes") AS ws_element FROM ws_states))
    QUALIFY row_number() OVER (PARTITION BY "time", "product" ORDER BY ws_element) <= 1024
  )
  GROUP BY "time", "product"
),
ws_measure_3 AS (
  SELECT "time", "product", list(ws_element ORDER BY ws_element) AS "prices_buckets", list(ws_times ORDER BY ws_element) AS "prices_counts"
  FROM (
    SELECT "time", "product", ws_element, CAST(sum(ws_times) AS BIGINT) AS ws_times
    FROM (
      SELECT "time", "product", unnest("prices_buckets") AS ws_element, unnest("prices_counts") AS ws_times FROM ws_states)
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
