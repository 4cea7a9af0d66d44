SELECT
  timestamp_micros(CASE WHEN r.`ws_time_1mo` < 1412121600000000 THEN r.`ws_time_1mo` WHEN r.`ws_time_1d` < 1416787200000000 THEN r.`ws_time_1d` ELSE r.`ws_time_1h` END) AS `time`,
  r.`product` AS `product`,
  count(*) AS `sales`
FROM `rows` AS r
WHERE r.`ws_outcome` = 'accepted'
GROUP BY CASE WHEN r.`ws_time_1mo` < 1412121600000000 THEN r.`ws_time_1mo` WHEN r.`ws_time_1d` < 1416787200000000 THEN r.`ws_time_1d` ELSE r.`ws_time_1h` END, r.`product`;
