SELECT
  r.`ws_outcome` AS `ws_outcome`,
  r.`ws_reason` AS `ws_reason`,
  count(*) AS `events`
FROM `rows` AS r
GROUP BY r.`ws_outcome`, r.`ws_reason`;
