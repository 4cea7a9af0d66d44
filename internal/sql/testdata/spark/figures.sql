SELECT
  `ws_shard`,
  count(*),
  sum(CAST(`ws_hash_hi` AS DECIMAL(38,0))),
  sum(CAST(`ws_hash_lo` AS DECIMAL(38,0)))
FROM `rows`
GROUP BY `ws_shard`;
