-- name: unsent
-- The oldest pointers of some shards with what they point to: an event, or the latest state on a compacted topic.
-- The first is always there; more come until the bytes are used up. $1 shards, $2 how many, $3 bytes, $4 compacted topics, $5 places that are left alone ("topic/shard", for the own topic "/shard")
SELECT * FROM (
    SELECT pointer.id, pointer.shard, pointer.topic, pointer.aggregateid,
           snapshot.aggregateid IS NOT NULL AS is_state, journal.aggregateid IS NOT NULL AS is_event,
           coalesce(snapshot.version, pointer.version) AS version,
           coalesce(snapshot.tracingspancontext, journal.tracingspancontext) AS traceparent,
           coalesce(snapshot.payload, journal.payload) AS payload,
           journal.id AS event_id, journal.type, journal."timestamp" AS time, journal.recorded,
           journal.cause_source, journal.cause_version, journal.origin, journal.actor,
           sum(coalesce(octet_length(snapshot.payload), octet_length(journal.payload), 0))
               OVER (ORDER BY pointer.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
      FROM (SELECT id, shard, topic, aggregateid, version FROM outbox
             WHERE shard = ANY($1::smallint[])
               AND (cardinality($5::text[]) = 0 OR coalesce(topic, '') || '/' || shard <> ALL($5::text[]))
             ORDER BY id LIMIT $2) AS pointer
      LEFT JOIN snapshot ON snapshot.topic = pointer.topic AND snapshot.aggregateid = pointer.aggregateid
      LEFT JOIN journal ON journal.aggregateid = pointer.aggregateid AND journal.version = pointer.version
            AND (pointer.topic IS NULL OR pointer.topic <> ALL($4::text[]))
     ) AS oldest
 WHERE bytes_before IS NULL OR bytes_before < $3
 ORDER BY id;

-- name: forget_sent
-- Pointers that the broker acknowledged.   $1 ids
DELETE FROM outbox WHERE id = ANY($1::bigint[]);

-- name: forget_topic
-- Pointers of some shards to a private topic that does not exist.   $1 topic, $2 shards
DELETE FROM outbox WHERE topic = $1 AND shard = ANY($2::smallint[]);

-- name: still_here
-- Keeps the session, and with it the locks, while the broker is slow.
SELECT 1;

-- name: take_shards
-- Tries to become the relay of shards, for as long as this session lives.   $1 shards not held yet
SELECT shard FROM unnest($1::int[]) AS given (shard) WHERE pg_try_advisory_lock($2, shard);

-- name: depth
-- How much is unsent, and since when.   $1 places that do not count ("topic/shard", for the own topic "/shard")
SELECT count(*) AS unsent, coalesce(extract(epoch FROM clock_timestamp() - min(since)), 0)::float8 AS oldest_seconds
  FROM outbox
 WHERE cardinality($1::text[]) = 0 OR coalesce(topic, '') || '/' || shard <> ALL($1::text[]);

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

-- name: point_again_at
-- Pointers to some versions, in order; one that is not sent yet gets no second.   $1 subjects, $2 shards, $3 first versions, $4 last versions
INSERT INTO outbox (shard, aggregateid, version)
SELECT given.shard, journal.aggregateid, journal.version
  FROM unnest($1::text[], $2::smallint[], $3::int[], $4::int[]) AS given (subject, shard, first, last)
  JOIN journal ON journal.aggregateid = given.subject AND journal.version BETWEEN given.first AND given.last
 WHERE NOT EXISTS (SELECT FROM outbox AS unsent WHERE unsent.shard = given.shard AND unsent.topic IS NULL
                      AND unsent.aggregateid = journal.aggregateid AND unsent.version = journal.version)
 ORDER BY journal.aggregateid, journal.version;

-- name: range_end
-- The subject at which a range of so many ends; none when there are not so many.   $1 from this subject, $2 how many
SELECT subject FROM stream WHERE subject >= $1 ORDER BY subject OFFSET $2 LIMIT 1;

-- name: streams_about
-- About how many streams and states there are, by the planner's last count.
SELECT (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'stream'::regclass) AS streams,
       (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'snapshot'::regclass) AS states;

-- name: said_states
-- The next states that were said and sent.   $1 after this topic, $2 and this subject, $3 how many
SELECT topic, aggregateid, version, payload IS NULL AS is_erased FROM snapshot
 WHERE (topic, aggregateid) > ($1, $2)
   AND NOT EXISTS (SELECT FROM outbox WHERE outbox.topic = snapshot.topic AND outbox.aggregateid = snapshot.aggregateid)
 ORDER BY topic, aggregateid LIMIT $3;

-- name: point_again_at_states
-- Pointers to the latest states of some subjects on one compacted topic.   $1 subjects, $2 shards, $3 topic
INSERT INTO outbox (shard, topic, aggregateid, version)
SELECT given.shard, snapshot.topic, snapshot.aggregateid, snapshot.version
  FROM unnest($1::text[], $2::smallint[]) AS given (subject, shard)
  JOIN snapshot ON snapshot.aggregateid = given.subject AND snapshot.topic = $3
 ORDER BY snapshot.aggregateid;

-- name: said_tallies
-- What was said and sent of a range of subjects, by bucket. What is unsent is not said yet, nor what follows it. $1 low, $2 high or NULL, $3 shards, $4 buckets, $5 partitions
WITH unsent AS (
    SELECT aggregateid AS subject, min(version) - 1 AS before
      FROM outbox WHERE topic IS NULL AND shard = ANY($3::smallint[]) GROUP BY aggregateid
), said AS (
    SELECT stream.subject, least(stream.version, unsent.before) AS version,
           (crc32(convert_to(stream.subject, 'UTF8')) % $4::int)::int AS bucket
      FROM stream LEFT JOIN unsent ON unsent.subject = stream.subject
     WHERE stream.subject >= $1 AND stream.subject < coalesce($2, U&'\+10FFFF')
)
SELECT bucket, count(*)::int AS subjects, sum(version)::bigint AS versions,
       sum(hashtextextended(subject, version))::text AS hashes
  FROM said WHERE version > 0 AND bucket % $5::int = ANY($3::smallint[]) GROUP BY bucket ORDER BY bucket;

-- name: said_heads
-- How much was said and sent of the subjects of some buckets of a range. $1 low, $2 high or NULL, $3 bucket numbers, $4 buckets
WITH unsent AS (
    SELECT aggregateid AS subject, min(version) - 1 AS before FROM outbox WHERE topic IS NULL GROUP BY aggregateid
), said AS (
    SELECT stream.subject, least(stream.version, unsent.before) AS version,
           (crc32(convert_to(stream.subject, 'UTF8')) % $4::int)::int AS bucket
      FROM stream LEFT JOIN unsent ON unsent.subject = stream.subject
     WHERE stream.subject >= $1 AND stream.subject < coalesce($2, U&'\+10FFFF')
)
SELECT subject, version FROM said WHERE version > 0 AND bucket = ANY($3::int[]) ORDER BY subject;

-- name: ahead
-- Of what hearers have heard, that which was never said here.   $1 subjects, $2 versions
SELECT given.subject, given.version, coalesce(stream.version, 0) AS said
  FROM unnest($1::text[], $2::int[]) AS given (subject, version)
  LEFT JOIN stream ON stream.subject = given.subject
 WHERE coalesce(stream.version, 0) < given.version ORDER BY given.subject;
