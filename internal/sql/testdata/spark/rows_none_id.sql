SET spark.sql.ansi.enabled=true;
SET spark.sql.session.timeZone=UTC;
SET spark.sql.decimalOperations.allowPrecisionLoss=false;
SET spark.sql.caseSensitive=false;
SET spark.sql.parser.escapedStringLiterals=false;
SET spark.sql.variable.substitute=false;
SET spark.sql.optimizer.windowGroupLimitThreshold=1000000;
CREATE OR REPLACE TEMP VIEW `stored` AS
SELECT
  m.`ws_shard`,
  m.`ws_position`,
  m.`ws_arrival`,
  m.`ws_outcome`,
  m.`ws_reason`,
  m.`ws_hash_hi`,
  m.`ws_hash_lo`,
  m.`ws_id_hi`,
  m.`ws_id_lo`,
  m.`ws_time_1h`,
  m.`ws_time_1d`,
  m.`ws_time_1mo`,
  m.`ws_distinct_product`,
  m.`ws_bucket_price_0_01`,
  m.`ws_where_sketches`,
  m.`product`,
  m.`price`,
  m.`sold_at`,
  m.`items`,
  m.`through`
FROM `files` AS m
WHERE false;
CREATE OR REPLACE TEMP VIEW `duplicates` AS
WITH again AS (
  SELECT `ws_id_hi`
  FROM `stored`
  WHERE `ws_id_hi` IS NOT NULL
  GROUP BY `ws_id_hi`
  HAVING count(*) > 1
)
SELECT `ws_shard`, `ws_position`
FROM (
  SELECT s.`ws_shard`, s.`ws_position`, s.`ws_arrival` - lag(s.`ws_arrival`) OVER (PARTITION BY s.`ws_id_hi`, s.`ws_id_lo` ORDER BY s.`ws_position`) AS ws_since
  FROM `stored` AS s
  JOIN again ON s.`ws_id_hi` = again.`ws_id_hi`
)
WHERE ws_since <= 900000;
CACHE TABLE `duplicates`;
CREATE OR REPLACE TEMP VIEW `rows` AS
SELECT
  s.`ws_shard`,
  CASE WHEN d.`ws_position` IS NULL OR s.`ws_outcome` = 'erased' THEN s.`ws_outcome` ELSE 'duplicate' END AS `ws_outcome`,
  CASE WHEN d.`ws_position` IS NULL THEN s.`ws_reason` END AS `ws_reason`,
  s.`ws_hash_hi`,
  s.`ws_hash_lo`,
  s.`ws_time_1h`,
  s.`ws_time_1d`,
  s.`ws_time_1mo`,
  s.`ws_distinct_product`,
  s.`ws_bucket_price_0_01`,
  s.`ws_where_sketches`,
  s.`product`,
  s.`price`,
  s.`sold_at`,
  s.`items`,
  s.`through`
FROM `stored` AS s
LEFT JOIN `duplicates` AS d ON s.`ws_shard` = d.`ws_shard` AND s.`ws_position` = d.`ws_position`;
