WITH ws_groups AS (
  SELECT
    timestamp_micros(r.`ws_time_1d`) AS `time`,
    r.`product` AS `product`,
    count(*) AS `sales`,
    count(*) AS ws_parts
  FROM `rows` AS r
  WHERE r.`ws_outcome` = 'accepted'
  AND r.`ws_where_sketches`
  GROUP BY r.`ws_time_1d`, r.`product`
),
ws_measure_2 AS (
  SELECT `time`, `product`, array_sort(collect_list(ws_element)) AS `places_hashes`
  FROM (
    SELECT `time`, `product`, ws_element, row_number() OVER (PARTITION BY `time`, `product` ORDER BY ws_element) AS ws_place
    FROM (SELECT DISTINCT `time`, `product`, ws_element FROM (
      SELECT timestamp_micros(r.`ws_time_1d`) AS `time`, r.`product` AS `product`, r.`ws_distinct_product` AS ws_element
      FROM `rows` AS r
      WHERE r.`ws_outcome` = 'accepted'
      AND r.`ws_where_sketches`
      AND r.`ws_distinct_product` IS NOT NULL))
  )
  WHERE ws_place <= 1024
  GROUP BY `time`, `product`
),
ws_measure_3 AS (
  SELECT `time`, `product`, transform(ws_pairs, p -> p.ws_element) AS `prices_buckets`, transform(ws_pairs, p -> p.ws_times) AS `prices_counts`
  FROM (
    SELECT `time`, `product`, array_sort(collect_list(struct(ws_element, ws_times))) AS ws_pairs
    FROM (
      SELECT `time`, `product`, ws_element, sum(ws_times) AS ws_times
      FROM (
        SELECT timestamp_micros(r.`ws_time_1d`) AS `time`, r.`product` AS `product`, r.`ws_bucket_price_0_01` AS ws_element, 1 AS ws_times
        FROM `rows` AS r
        WHERE r.`ws_outcome` = 'accepted'
        AND r.`ws_where_sketches`
        AND r.`ws_bucket_price_0_01` IS NOT NULL)
      GROUP BY `time`, `product`, ws_element
    )
    GROUP BY `time`, `product`
  )
)
SELECT
  ws_groups.`time` AS `time`,
  ws_groups.`product` AS `product`,
  ws_groups.`sales` AS `sales`,
  coalesce(ws_measure_2.`places_hashes`, CAST(array() AS ARRAY<BIGINT>)) AS `places_hashes`,
  coalesce(ws_measure_3.`prices_buckets`, CAST(array() AS ARRAY<BIGINT>)) AS `prices_buckets`,
  coalesce(ws_measure_3.`prices_counts`, CAST(array() AS ARRAY<BIGINT>)) AS `prices_counts`
FROM ws_groups
LEFT JOIN ws_measure_2 ON ws_groups.`time` IS NOT DISTINCT FROM ws_measure_2.`time` AND ws_groups.`product` IS NOT DISTINCT FROM ws_measure_2.`product`
LEFT JOIN ws_measure_3 ON ws_groups.`time` IS NOT DISTINCT FROM ws_measure_3.`time` AND ws_groups.`product` IS NOT DISTINCT FROM ws_measure_3.`product`;
