SET spark.sql.ansi.enabled=true;
SET spark.sql.session.timeZone=UTC;
SET spark.sql.decimalOperations.allowPrecisionLoss=false;
SET spark.sql.caseSensitive=false;
SET spark.sql.parser.escapedStringLiterals=false;
SET spark.sql.variable.substitute=false;
SET spark.sql.optimizer.windowGroupLimitThreshold=1000000;
CREATE OR REPLACE TEMP VIEW `rows` AS
SELECT
  m.`ws_shard`,
  m.`ws_outcome`,
  m.`ws_reason`,
  m.`ws_hash_hi`,
  m.`ws_hash_lo`,
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
