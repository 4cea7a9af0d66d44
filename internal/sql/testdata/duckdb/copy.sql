COPY (
SELECT
  "ws_shard",
  count(*),
  sum("ws_hash_hi"),
  sum("ws_hash_lo")
FROM "rows"
GROUP BY "ws_shard"
ORDER BY "ws_shard"
) TO '/data/it''s out.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 8192, USE_TMP_FILE false);
