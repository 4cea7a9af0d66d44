WITH ws_states AS (
  SELECT "places_hashes" FROM old
  UNION ALL
  SELECT "places_hashes" FROM new
),
ws_groups AS (
  SELECT count(*) AS ws_parts
  FROM ws_states
),
ws_measure_1 AS (
  SELECT list(ws_element ORDER BY ws_element) AS "places_hashes"
  FROM (
    SELECT ws_element
    FROM (SELECT DISTINCT ws_element FROM (
      SELECT unnest("places_hashes") AS ws_element FROM ws_states))
    QUALIFY row_number() OVER (ORDER BY ws_element) <= 16
  )
)
SELECT
  coalesce(ws_measure_1."places_hashes", []) AS "places_hashes"
FROM ws_groups
LEFT JOIN ws_measure_1 ON true
WHERE ws_groups.ws_parts > 0;
