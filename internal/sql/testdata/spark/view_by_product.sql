SELECT
  timestamp_micros(r.`ws_time_1h`) AS `time`,
  r.`product` AS `product`,
  count(*) AS `sales`,
  count(r.`price`) AS `priced`,
  CAST(CAST(sum(CAST(r.`price` AS DECIMAL(38,0))) AS DECIMAL(38,0)) * CAST(0.01 AS DECIMAL(3,2)) AS DECIMAL(38,2)) AS `revenue`,
  CAST(CAST(min(r.`price`) AS DECIMAL(18,0)) * CAST(0.01 AS DECIMAL(3,2)) AS DECIMAL(12,2)) AS `cheapest`,
  CAST(CAST(sum(CAST(r.`price` AS DECIMAL(38,0))) AS DECIMAL(38,0)) * CAST(0.01 AS DECIMAL(3,2)) AS DECIMAL(38,2)) AS `average_sum`,
  count(r.`price`) AS `average_count`,
  CAST(CAST(sum(CAST(r.`items` AS DECIMAL(38,0))) AS DECIMAL(38,0)) AS DECIMAL(38,0)) AS `items`,
  max(r.`items`) AS `most`,
  timestamp_micros(max(r.`sold_at`)) AS `last`,
  min(r.`product`) AS `name`
FROM `rows` AS r
WHERE r.`ws_outcome` = 'accepted'
GROUP BY r.`ws_time_1h`, r.`product`;
