CREATE TEMP TABLE "stored" (
  "ws_shard" VARCHAR,
  "ws_position" VARCHAR,
  "ws_arrival" BIGINT,
  "ws_outcome" VARCHAR,
  "ws_reason" VARCHAR,
  "ws_hash_hi" BIGINT,
  "ws_hash_lo" BIGINT,
  "ws_id_hi" BIGINT,
  "ws_id_lo" BIGINT,
  "ws_time_1h" BIGINT,
  "ws_time_1d" BIGINT,
  "ws_time_1mo" BIGINT,
  "ws_distinct_product" BIGINT,
  "ws_bucket_price_0_01" BIGINT,
  "ws_where_sketches" BOOLEAN,
  "product" VARCHAR,
  "price" BIGINT,
  "sold_at" BIGINT,
  "items" BIGINT,
  "through" VARCHAR
);
CREATE TEMP TABLE "duplicates" AS
WITH again AS (
  SELECT "ws_id_hi"
  FROM "stored"
  WHERE "ws_id_hi" IS NOT NULL
  GROUP BY "ws_id_hi"
  HAVING count(*) > 1
)
SELECT s."ws_shard", s."ws_position"
FROM "stored" AS s
JOIN again ON s."ws_id_hi" = again."ws_id_hi"
QUALIFY s."ws_arrival" - lag(s."ws_arrival") OVER (PARTITION BY s."ws_id_hi", s."ws_id_lo" ORDER BY s."ws_position") <= 900000;
CREATE TEMP VIEW "rows" AS
SELECT
  s."ws_shard",
  CASE WHEN d."ws_position" IS NULL OR s."ws_outcome" = 'erased' THEN s."ws_outcome" ELSE 'duplicate' END AS "ws_outcome",
  CASE WHEN d."ws_position" IS NULL THEN s."ws_reason" END AS "ws_reason",
  s."ws_hash_hi",
  s."ws_hash_lo",
  s."ws_time_1h",
  s."ws_time_1d",
  s."ws_time_1mo",
  s."ws_distinct_product",
  s."ws_bucket_price_0_01",
  s."ws_where_sketches",
  s."product",
  s."price",
  s."sold_at",
  s."items",
  s."through"
FROM "stored" AS s
LEFT JOIN "duplicates" AS d ON s."ws_shard" = d."ws_shard" AND s."ws_position" = d."ws_position";
