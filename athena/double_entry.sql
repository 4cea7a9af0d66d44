-- Double entry by shard: events and checksums of the master dataset. Events that are stored twice add to rows, and to the checksums
SELECT
  ws_shard AS shard,
  count(*) AS "rows",
  count(DISTINCT ws_position) AS events,
  max(ws_position) AS last_position,
  sum(CAST(ws_hash_hi AS decimal(38,0))) % DECIMAL '18446744073709551616' AS checksum_hi,
  sum(CAST(ws_hash_lo AS decimal(38,0))) % DECIMAL '18446744073709551616' AS checksum_lo
FROM "rows"
GROUP BY ws_shard
ORDER BY ws_shard
