WITH ws_states AS (
  SELECT "time", "product", "sales", "priced", "revenue", "cheapest", "average_sum", "average_count", "items", "most", "last", "name" FROM old
  UNION ALL
  SELECT "time", "product", "sales", "priced", "revenue", "cheapest", "average_sum", "average_count", "items", "most", "last", "name" FROM new
),
ws_groups AS (
  SELECT "time", "product", CAST(sum("sales") AS BIGINT) AS "sales", CAST(sum("priced") AS BIGINT) AS "priced", CAST(sum("revenue") AS DECIMAL(38,2)) AS "revenue", min("cheapest") AS "cheapest", CAST(sum("average_sum") AS DECIMAL(38,2)) AS "average_sum", CAST(sum("average_count") AS BIGINT) AS "average_count", CAST(sum("items") AS DECIMAL(38,0)) AS "items", max("most") AS "most", max("last") AS "last", min("name") AS "name", count(*) AS ws_parts
  FROM ws_states
  GROUP BY "time", "product"
)
SELECT
  ws_groups."time" AS "time",
  ws_groups."product" AS "product",
  ws_groups."sales" AS "sales",
  ws_groups."priced" AS "priced",
  ws_groups."revenue" AS "revenue",
  ws_groups."cheapest" AS "cheapest",
  ws_groups."average_sum" AS "average_sum",
  ws_groups."average_count" AS "average_count",
  ws_groups."items" AS "items",
  ws_groups."most" AS "most",
  ws_groups."last" AS "last",
  ws_groups."name" AS "name"
FROM ws_groups
ORDER BY ws_groups."time" NULLS FIRST, ws_groups."product" NULLS FIRST;
