-- sales bigint, bigint
WITH ws_cut AS (
  SELECT * FROM (VALUES
    ('shard-a', '003100.0000000003'),
    ('shard-b', '00277.0000000000')
  ) AS c (shard, through)
),
ws_stored AS (
  SELECT
    r."ws_outcome",
    (c.through IS NULL OR r."ws_position" > c.through) AS ws_behind,
    row_number() OVER (PARTITION BY r."ws_shard", r."ws_position" ORDER BY CASE r."ws_outcome" WHEN 'erased' THEN 0 ELSE 1 END, r."ws_rowlogic" DESC, r."ws_hash_hi", r."ws_hash_lo") AS ws_copy
  FROM "watershed_sales"."rows" AS r
  LEFT JOIN ws_cut AS c ON r."ws_shard" = c.shard
  WHERE r."ws_shard" NOT LIKE 'load-%'
  AND r."ws_arrival" >= 1417302000000
  AND (c.through IS NULL OR r."ws_position" > c.through)
),
ws_judged AS (
  SELECT
    "ws_outcome",
    ws_behind
  FROM ws_stored
  WHERE ws_copy = 1
),
ws_tail AS (
  SELECT
    count(*) AS "sales"
  FROM ws_judged AS r
  WHERE r.ws_behind
  AND r."ws_outcome" = 'accepted'
  HAVING count(*) > 0
),
ws_merged AS (
  SELECT
    sum("sales") AS "sales"
  FROM (
    SELECT * FROM ws_tail
  )
  HAVING count(*) > 0
)
SELECT
  "sales"
FROM ws_merged;
