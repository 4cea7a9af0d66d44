-- ws_outcome varchar, string
-- ws_reason varchar, string
-- events bigint, bigint
WITH ws_cut AS (
  SELECT * FROM (VALUES
    ('shard-a', '003100.0000000003'),
    ('shard-b', '00277.0000000000')
  ) AS c (shard, through)
),
ws_stored AS (
  SELECT
    r."ws_position",
    r."ws_arrival",
    r."ws_outcome",
    r."ws_reason",
    r."ws_id_hi",
    r."ws_id_lo",
    (c.through IS NULL OR r."ws_position" > c.through) AS ws_behind,
    row_number() OVER (PARTITION BY r."ws_shard", r."ws_position" ORDER BY CASE r."ws_outcome" WHEN 'erased' THEN 0 ELSE 1 END, r."ws_rowlogic" DESC, r."ws_hash_hi", r."ws_hash_lo") AS ws_copy
  FROM "watershed_sales"."rows" AS r
  LEFT JOIN ws_cut AS c ON r."ws_shard" = c.shard
  WHERE r."ws_shard" NOT LIKE 'load-%'
  AND r."ws_arrival" >= 1417297500000
),
ws_judged AS (
  SELECT
    "ws_position",
    "ws_arrival",
    CASE WHEN ws_again THEN 'duplicate' ELSE "ws_outcome" END AS "ws_outcome",
    CASE WHEN ws_again THEN NULL ELSE "ws_reason" END AS "ws_reason",
    "ws_id_hi",
    "ws_id_lo",
    ws_behind
  FROM (
    SELECT
      "ws_position",
      "ws_arrival",
      "ws_outcome",
      "ws_reason",
      "ws_id_hi",
      "ws_id_lo",
      ws_behind,
      "ws_id_hi" IS NOT NULL AND "ws_outcome" <> 'erased' AND "ws_arrival" - lag("ws_arrival") OVER (PARTITION BY "ws_id_hi", "ws_id_lo", CASE WHEN "ws_id_hi" IS NULL THEN "ws_position" END ORDER BY "ws_position") <= 900000 AS ws_again
    FROM ws_stored
    WHERE ws_copy = 1
  )
),
ws_tail AS (
  SELECT
    r."ws_outcome" AS "ws_outcome",
    r."ws_reason" AS "ws_reason",
    count(*) AS "events"
  FROM ws_judged AS r
  WHERE r.ws_behind
  GROUP BY r."ws_outcome", r."ws_reason"
),
ws_merged AS (
  SELECT
    "ws_outcome",
    "ws_reason",
    sum("events") AS "events"
  FROM (
    SELECT * FROM ws_tail
  )
  GROUP BY "ws_outcome", "ws_reason"
)
SELECT
  "ws_outcome",
  "ws_reason",
  "events"
FROM ws_merged;
