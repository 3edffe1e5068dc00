-- name: unsent
-- The oldest pointers of some shards with what they point to.   $1 shards, $2 how many
SELECT outbox.id, outbox.shard, outbox.topic, outbox.aggregateid, outbox.version,
       journal.id AS event_id, journal.type, journal."timestamp" AS time, journal.recorded,
       journal.cause_source, journal.cause_version, journal.origin, journal.actor,
       journal.tracingspancontext AS traceparent, journal.payload
  FROM outbox
  LEFT JOIN journal ON journal.aggregateid = outbox.aggregateid AND journal.version = outbox.version
 WHERE outbox.shard = ANY($1::smallint[])
 ORDER BY outbox.id
 LIMIT $2;

-- name: snapshots_for
-- The latest states on a compacted topic.   $1 topic, $2 subjects
SELECT aggregateid, version, payload, tracingspancontext AS traceparent
  FROM snapshot WHERE topic = $1 AND aggregateid = ANY($2::text[]);

-- name: forget_sent
-- Pointers that the broker acknowledged.   $1 ids
DELETE FROM outbox WHERE id = ANY($1::bigint[]);

-- name: take_shards
-- Tries to become the relay of shards, for as long as this session lives.   $1 shards not held yet
SELECT shard FROM unnest($1::int[]) AS given (shard) WHERE pg_try_advisory_lock($2, shard);

-- name: depth
-- How much is unsent, and since when.
SELECT count(*) AS unsent, coalesce(extract(epoch FROM clock_timestamp() - min(since)), 0)::float8 AS oldest_seconds
  FROM outbox;

-- name: subjects_after
-- The next subjects of the journal, for publishing everything again in steps.   $1 after this subject, $2 how many
SELECT subject FROM stream WHERE subject > $1 AND version > 0 ORDER BY subject LIMIT $2;

-- name: point_again
-- Pointers to all that was said of some subjects, in order.   $1 subjects, $2 shards, $3 topic or NULL for the own one
INSERT INTO outbox (shard, topic, aggregateid, version)
SELECT given.shard, $3, journal.aggregateid, journal.version
  FROM unnest($1::text[], $2::smallint[]) AS given (subject, shard)
  JOIN journal ON journal.aggregateid = given.subject
 ORDER BY journal.aggregateid, journal.version;

-- name: point_again_at_snapshots
-- Pointers to the latest states of some subjects.   $1 subjects, $2 shards
INSERT INTO outbox (shard, topic, aggregateid, version)
SELECT given.shard, snapshot.topic, snapshot.aggregateid, snapshot.version
  FROM unnest($1::text[], $2::smallint[]) AS given (subject, shard)
  JOIN snapshot ON snapshot.aggregateid = given.subject
 ORDER BY snapshot.aggregateid;
