-- Rejects by reason: how many events were rejected, and one of them each, as it was sent
SELECT
  ws_reason AS reason,
  count(DISTINCT ROW(ws_shard, ws_position)) AS events,
  from_unixtime(max(ws_arrival) / 1000) AS latest_arrival,
  max_by(ws_detail, ws_arrival) AS detail,
  substr(from_utf8(from_base64(max_by(ws_raw, ws_arrival))), 1, 1000) AS event
FROM "rows"
WHERE ws_outcome = 'rejected'
GROUP BY ws_reason
ORDER BY events DESC, reason
