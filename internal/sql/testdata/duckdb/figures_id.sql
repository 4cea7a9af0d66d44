SELECT
  "ws_shard",
  count(*),
  sum("ws_hash_hi"),
  sum("ws_hash_lo")
FROM "stored"
GROUP BY "ws_shard"
ORDER BY "ws_shard";
