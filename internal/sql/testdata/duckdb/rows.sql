CREATE TEMP VIEW "rows" AS
SELECT
  "ws_shard",
  "ws_outcome",
  "ws_reason",
  "ws_hash_hi",
  "ws_hash_lo",
  "ws_time_1h",
  "ws_time_1d",
  "product",
  "price",
  "sold_at",
  "items"
FROM read_parquet([
  '/data/it''s one.parquet',
  '/data/two.parquet'
], hive_partitioning = false)
JOIN (VALUES
  ('shard-a', '003100.0000000003'),
  ('shard-b', '00277.0000000000')
) AS cut (shard, through)
ON "ws_shard" = cut.shard AND "ws_position" <= cut.through;
