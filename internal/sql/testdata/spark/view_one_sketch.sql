WITH ws_groups AS (
  SELECT
    count(*) AS ws_parts
  FROM `rows` AS r
  WHERE r.`ws_outcome` = 'accepted'
),
ws_measure_1 AS (
  SELECT array_sort(collect_list(ws_element)) AS `places_hashes`
  FROM (
    SELECT DISTINCT ws_element FROM (
      SELECT r.`ws_distinct_product` AS ws_element
      FROM `rows` AS r
      WHERE r.`ws_outcome` = 'accepted'
      AND r.`ws_distinct_product` IS NOT NULL)
    ORDER BY ws_element LIMIT 16
  )
)
SELECT
  coalesce(ws_measure_1.`places_hashes`, CAST(array() AS ARRAY<BIGINT>)) AS `places_hashes`
FROM ws_groups
LEFT JOIN ws_measure_1 ON true
WHERE ws_groups.ws_parts > 0;
