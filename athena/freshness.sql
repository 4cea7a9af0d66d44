-- Freshness: when the latest event of each shard arrived that queries see, among the last day's
SELECT
  ws_shard AS shard,
  count(*) AS events,
  from_unixtime(max(ws_arrival) / 1000) AS latest_arrival,
  date_diff('second', from_unixtime(max(ws_arrival) / 1000), current_timestamp) AS seconds_ago
FROM "rows"
WHERE ws_arrival >= (CAST(to_unixtime(current_timestamp) AS bigint) - 86400) * 1000
GROUP BY ws_shard
ORDER BY ws_shard
