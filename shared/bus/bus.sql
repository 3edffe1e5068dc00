-- name: hold_shards
-- Holds shards until the transaction ends.   $1 class of lock, $2 shards, ascending
SELECT pg_advisory_xact_lock($1, shard) FROM unnest($2::int[]) AS given (shard);

-- name: add_heard
-- Rows for streams of which nothing was heard yet.   $1 subjects, $2 sources; ascending by (subject, source)
INSERT INTO heard (subject, source) SELECT subject, source FROM unnest($1::text[], $2::text[]) AS given (subject, source)
ON CONFLICT (subject, source) DO NOTHING;

-- name: lock_heard
-- Locks every stream of some subjects, ascending.   $1 subjects
SELECT subject, source, version, event_id, parked FROM heard
 WHERE subject = ANY($1::text[]) ORDER BY subject, source FOR NO KEY UPDATE;

-- name: save_heard
-- The versions after a batch.   $1 subjects, $2 sources, $3 versions, $4 event ids, $5 parked
UPDATE heard SET version = given.version, event_id = given.event_id, parked = given.parked
  FROM unnest($1::text[], $2::text[], $3::int[], $4::uuid[], $5::int[])
       AS given (subject, source, version, event_id, parked)
 WHERE heard.subject = given.subject AND heard.source = given.source;

-- name: parked_of
-- What is parked of some subjects.   $1 subjects, $2 only the one with this id, or NULL
SELECT id, topic, partition, "offset", subject, source, version, reason, waits_for, key, headers, body
  FROM parked WHERE subject = ANY($1::text[]) AND ($2::bigint IS NULL OR id = $2) ORDER BY subject, source, version, id;

-- name: parked_ids
-- Ids of what is parked of a subject, in the order of versions.   $1 subject
SELECT id FROM parked WHERE subject = $1 ORDER BY version, source, id;

-- name: subjects_in_turn
-- Of some streams, the subjects of which something parked is not behind a gap.   $1 subjects, $2 sources, $3 versions whose turn it is
SELECT DISTINCT parked.subject
  FROM unnest($1::text[], $2::text[], $3::int[]) AS given (subject, source, version)
  JOIN parked ON parked.subject = given.subject AND parked.source = given.source AND parked.version <= given.version;

-- name: park
-- Parks records; one that lies there already stays as it is. $1 topics, $2 partitions, $3 offsets, $4 digests, $5 subjects, $6 sources, $7 versions, $8 reasons, $9 waits_for, $10 keys, $11 headers, $12 bodies
INSERT INTO parked (topic, partition, "offset", digest, subject, source, version, reason, waits_for, key, headers, body)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[], $5::text[], $6::text[], $7::int[], $8::text[],
                     $9::text[], $10::bytea[], $11::text[], $12::bytea[])
ON CONFLICT (topic, partition, "offset", digest) DO NOTHING
RETURNING subject, source;

-- name: park_again
-- A parked record waits for something else now.   $1 ids, $2 reasons, $3 waits_for
UPDATE parked SET reason = given.reason, waits_for = given.waits_for
  FROM unnest($1::bigint[], $2::text[], $3::text[]) AS given (id, reason, waits_for)
 WHERE parked.id = given.id;

-- name: unpark
-- Parked records that were heard, repeated or set aside.   $1 ids
DELETE FROM parked WHERE id = ANY($1::bigint[]) RETURNING subject, source;

-- name: bury
-- Dead letters; one that lies there already stays as it is, but one that failed again after it was closed as mended is open again. $1 topics, $2 partitions, $3 offsets, $4 digests, $5 subjects, $6 sources, $7 versions, $8 types, $9 reasons, $10 keys, $11 headers, $12 bodies
INSERT INTO dead_letter (topic, partition, "offset", digest, subject, source, version, type, reason, key, headers, body)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bytea[], $5::text[], $6::text[], $7::int[], $8::text[],
                     $9::text[], $10::bytea[], $11::text[], $12::bytea[])
ON CONFLICT (topic, partition, "offset", digest) DO UPDATE
   SET reason = excluded.reason, fate = NULL, fated = NULL, fated_by = NULL, fate_reason = NULL
 WHERE dead_letter.fate = 'redriven' OR (dead_letter.fate = 'superseded' AND NOT excluded.reason LIKE 'fork%');

-- name: supersede
-- Dead letters whose version was heard after all (published again, or redriven).   $1 subjects, $2 sources, $3 versions heard
UPDATE dead_letter SET fate = 'superseded', fated = clock_timestamp()
  FROM unnest($1::text[], $2::text[], $3::int[]) AS given (subject, source, version)
 WHERE dead_letter.fate IS NULL AND dead_letter.subject = given.subject AND dead_letter.source = given.source
   AND dead_letter.version <= given.version AND NOT dead_letter.reason LIKE 'fork%';

-- name: subjects_waiting_for
-- Subjects with something parked that waits for one of these.   $1 keys
SELECT DISTINCT subject FROM parked WHERE waits_for = ANY($1::text[]) ORDER BY subject;

-- name: subjects_waiting
-- Subjects with something parked that is not merely behind a gap.   $1 after this subject, $2 how many
SELECT DISTINCT parked.subject
  FROM parked JOIN heard ON heard.subject = parked.subject AND heard.source = parked.source
 WHERE parked.version <= heard.version + 1 AND parked.subject > $1 ORDER BY parked.subject LIMIT $2;

-- name: waiting_room
-- How much is parked and dead, and for how many seconds the oldest.
SELECT (SELECT count(*) FROM parked) AS parked,
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(parked)), 0)::float8 FROM parked) AS parked_seconds,
       (SELECT count(*) FROM dead_letter WHERE fate IS NULL) AS dead,
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(died)), 0)::float8 FROM dead_letter WHERE fate IS NULL)
           AS dead_seconds;

-- name: dead_letters
-- Dead letters, newest first.   $1 only open ones, $2 below this id, $3 how many
SELECT id, topic, partition, "offset", subject, source, version, type, reason, died, fate, fated, fated_by, fate_reason,
       never_said, extract(epoch FROM clock_timestamp() - died)::float8 AS age_seconds
  FROM dead_letter WHERE (fate IS NULL OR NOT $1) AND id < $2 ORDER BY id DESC LIMIT $3;

-- name: dead_letter
-- One dead letter, whole.   $1 id
SELECT id, topic, partition, "offset", subject, source, version, type, reason, key, headers, body, died, fate, fated,
       fated_by, fate_reason, never_said, extract(epoch FROM clock_timestamp() - died)::float8 AS age_seconds
  FROM dead_letter WHERE id = $1;

-- name: lock_dead_letter
-- One dead letter, locked.   $1 id
SELECT id, topic, partition, "offset", subject, source, version, type, reason, key, headers, body, fate, never_said
  FROM dead_letter WHERE id = $1 FOR UPDATE;

-- name: close_dead_letter
-- An operator's decision.   $1 id, $2 fate, $3 by whom, $4 why
UPDATE dead_letter SET fate = $2, fated = clock_timestamp(), fated_by = $3, fate_reason = $4 WHERE id = $1;

-- name: parked_records
-- What is parked, oldest first.   $1 how many
SELECT id, topic, partition, "offset", subject, source, version, reason, waits_for, parked,
       extract(epoch FROM clock_timestamp() - parked)::float8 AS age_seconds
  FROM parked ORDER BY id LIMIT $1;

-- name: incarnations
-- The incarnations of topics that partitions were last heard of.   $1 topics
SELECT topic, partition, topic_id FROM incarnation WHERE topic = ANY($1::text[]);

-- name: save_incarnation
-- A partition is heard of this incarnation from now on.   $1 topic, $2 partition, $3 topic id
INSERT INTO incarnation (topic, partition, topic_id) VALUES ($1, $2, $3)
ON CONFLICT (topic, partition) DO UPDATE SET topic_id = excluded.topic_id;

-- name: behind
-- Of some streams, those of which less was heard than was said, with what waits or is dead of them. $1 source, $2 subjects, $3 versions said
SELECT given.subject, given.version AS said, coalesce(heard.version, 0) AS heard,
       ARRAY(SELECT parked.version FROM parked
              WHERE parked.subject = given.subject AND parked.source = $1 AND NOT parked.never_said
              UNION ALL
             SELECT dead_letter.version FROM dead_letter
              WHERE dead_letter.fate IS NULL AND dead_letter.subject = given.subject AND dead_letter.source = $1
                AND NOT dead_letter.never_said AND NOT dead_letter.reason LIKE 'fork%') AS held
  FROM unnest($2::text[], $3::int[]) AS given (subject, version)
  LEFT JOIN heard ON heard.subject = given.subject AND heard.source = $1
 WHERE coalesce(heard.version, 0) < given.version ORDER BY given.subject;

-- name: heard_tallies
-- What is here of a range of a source's subjects, by bucket: heard, or (without a gap before it) parked or dead. $1 source, $2 low, $3 high or NULL, $4 bucket numbers, $5 buckets
WITH held AS (
    SELECT subject, version FROM parked WHERE source = $1 AND NOT never_said
     UNION
    SELECT subject, version FROM dead_letter
     WHERE fate IS NULL AND source = $1 AND version IS NOT NULL AND NOT never_said AND NOT reason LIKE 'fork%'
), in_range AS (
    SELECT subject, version FROM heard
     WHERE subject >= $2 AND subject < coalesce($3, U&'\+10FFFF') AND source = $1
), further AS (
    -- The n-th version above the last one that was heard follows it without a gap if it is the last one + n.
    SELECT subject, count(*) FILTER (WHERE version = heard + place) AS versions
      FROM (SELECT held.subject, held.version, coalesce(in_range.version, 0) AS heard,
                   row_number() OVER (PARTITION BY held.subject ORDER BY held.version) AS place
              FROM held LEFT JOIN in_range ON in_range.subject = held.subject
             WHERE held.subject >= $2 AND held.subject < coalesce($3, U&'\+10FFFF')
               AND held.version > coalesce(in_range.version, 0)) AS above
     GROUP BY subject
), reached AS (
    SELECT subject, coalesce(in_range.version, 0) + coalesce(further.versions, 0) AS version,
           (crc32(convert_to(subject, 'UTF8')) % $5::int)::int AS bucket
      FROM in_range FULL JOIN further USING (subject)
)
SELECT bucket, count(*)::int AS subjects, sum(version)::bigint AS versions,
       sum(hashtextextended(subject, version))::text AS hashes
  FROM reached WHERE version > 0 AND bucket = ANY($4::int[]) GROUP BY bucket;

-- name: heard_heads
-- How far the subjects of some buckets of a range were heard.   $1 source, $2 low, $3 high or NULL, $4 bucket numbers, $5 buckets
SELECT subject, version FROM heard
 WHERE subject >= $2 AND subject < coalesce($3, U&'\+10FFFF') AND source = $1 AND version > 0
   AND (crc32(convert_to(subject, 'UTF8')) % $5::int)::int = ANY($4::int[]) ORDER BY subject;

-- name: held_heads
-- Of the subjects of some buckets of a range, the highest version that is parked or dead beyond what was heard. $1 source, $2 low, $3 high or NULL, $4 bucket numbers, $5 buckets
WITH held AS (
    SELECT subject, version FROM parked WHERE source = $1 AND NOT never_said
     UNION ALL
    SELECT subject, version FROM dead_letter
     WHERE fate IS NULL AND source = $1 AND version IS NOT NULL AND NOT never_said AND NOT reason LIKE 'fork%'
)
SELECT held.subject, max(held.version) AS version
  FROM held LEFT JOIN heard ON heard.subject = held.subject AND heard.source = $1
 WHERE held.subject >= $2 AND held.subject < coalesce($3, U&'\+10FFFF') AND held.version > coalesce(heard.version, 0)
   AND (crc32(convert_to(held.subject, 'UTF8')) % $5::int)::int = ANY($4::int[])
 GROUP BY held.subject ORDER BY held.subject;

-- name: mark_never_said
-- Versions beyond what their speaker ever said do not count as there any more. What somebody else has locked is left for the next time. $1 source, $2 subjects, $3 versions said, $4 what was here before this instant
WITH given AS (
    SELECT subject, version FROM unnest($2::text[], $3::int[]) AS given (subject, version)
), waiting AS (
    SELECT parked.id FROM parked JOIN given USING (subject)
     WHERE parked.source = $1 AND parked.version > given.version AND parked.parked < $4 AND NOT parked.never_said
     ORDER BY parked.id FOR UPDATE OF parked SKIP LOCKED
), dead AS (
    SELECT dead_letter.id FROM dead_letter JOIN given USING (subject)
     WHERE dead_letter.fate IS NULL AND dead_letter.source = $1 AND dead_letter.version > given.version
       AND dead_letter.died < $4 AND NOT dead_letter.never_said
     ORDER BY dead_letter.id FOR UPDATE OF dead_letter SKIP LOCKED
), marked_waiting AS (
    UPDATE parked SET never_said = true FROM waiting WHERE parked.id = waiting.id RETURNING parked.subject
), marked_dead AS (
    UPDATE dead_letter SET never_said = true FROM dead WHERE dead_letter.id = dead.id RETURNING dead_letter.subject
)
SELECT count(*) FROM (SELECT subject FROM marked_waiting UNION SELECT subject FROM marked_dead) AS marked;
