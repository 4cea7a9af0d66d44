SELECT
  count(*) AS `sales`
FROM `rows` AS r
WHERE r.`ws_outcome` = 'accepted'
HAVING count(*) > 0;
