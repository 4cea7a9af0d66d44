CREATE TEMP VIEW "rows" AS
SELECT
  m."ws_shard",
  m."ws_outcome",
  m."ws_reason",
  m."ws_hash_hi",
  m."ws_hash_lo",
  m."ws_time_1h",
  m."ws_time_1d",
  m."ws_time_1mo",
  m."ws_distinct_product",
  m."ws_bucket_price_0_01",
  m."ws_where_sketches",
  m."product",
  m."price",
  m."sold_at",
  m."items",
  m."through"
FROM read_parquet([
  '/data/it''s one.parquet',
  '/data/two.parquet'
], hive_partitioning = false) AS m
JOIN (VALUES
  ('shard-a', '003100.0000000003'),
  ('shard-b', '00277.0000000000')
) AS cut (shard, through)
ON m."ws_shard" = cut.shard AND m."ws_position" <= cut.through;
