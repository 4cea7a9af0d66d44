SELECT
  CAST(CAST(r.`price` AS DECIMAL(18,0)) * CAST(0.01 AS DECIMAL(3,2)) AS DECIMAL(12,2)) AS `price`,
  timestamp_micros(r.`sold_at`) AS `sold_at`,
  count(*) AS `sales`
FROM `rows` AS r
WHERE r.`ws_outcome` = 'accepted'
GROUP BY r.`price`, r.`sold_at`;
