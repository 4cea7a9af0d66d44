CREATE TEMP TABLE "rows" (
  "ws_shard" VARCHAR,
  "ws_outcome" VARCHAR,
  "ws_reason" VARCHAR,
  "ws_hash_hi" BIGINT,
  "ws_hash_lo" BIGINT,
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
