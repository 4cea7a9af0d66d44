SELECT
  make_timestamp(r."ws_time_1h") AS "time",
  r."product" AS "product",
  count(*) AS "sales",
  count(r."price") AS "priced",
  CAST(CAST(sum(r."price") AS DECIMAL(38,0)) * CAST(0.01 AS DECIMAL(3,2)) AS DECIMAL(38,2)) AS "revenue",
  CAST(CAST(min(r."price") AS DECIMAL(18,0)) * CAST(0.01 AS DECIMAL(3,2)) AS DECIMAL(12,2)) AS "cheapest",
  CAST(CAST(sum(r."price") AS DECIMAL(38,0)) * CAST(0.01 AS DECIMAL(3,2)) AS DECIMAL(38,2)) AS "average_sum",
  count(r."price") AS "average_count",
  CAST(sum(r."items") AS DECIMAL(38,0)) AS "items",
  max(r."items") AS "most",
  make_timestamp(max(r."sold_at")) AS "last",
  min(r."product") AS "name"
FROM "rows" AS r
WHERE r."ws_outcome" = 'accepted'
GROUP BY r."ws_time_1h", r."product"
ORDER BY r."ws_time_1h" NULLS FIRST, r."product" NULLS FIRST;
