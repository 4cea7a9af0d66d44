SELECT
  timestamp_micros(r.`ws_time_1d`) AS `time`,
  r.`through` AS `through`,
  count(*) AS `sales`
FROM `rows` AS r
WHERE r.`ws_outcome` = 'accepted'
GROUP BY r.`ws_time_1d`, r.`through`;
