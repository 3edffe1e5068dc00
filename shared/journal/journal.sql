-- name: add_streams
-- Rows for subjects of which nothing was said yet.   $1 subjects, ascending
INSERT INTO stream (subject) SELECT subject FROM unnest($1::text[]) AS given (subject)
ON CONFLICT (subject) DO NOTHING;

-- name: lock_streams
-- Locks subjects in ascending order; their rows stay locked until the transaction ends.   $1 subjects
SELECT subject, version, last_time FROM stream WHERE subject = ANY($1::text[]) ORDER BY subject FOR NO KEY UPDATE;

-- name: raise_streams
-- The versions and times after an announcement.   $1 subjects, $2 versions, $3 times
UPDATE stream SET version = given.version, last_time = given.time
  FROM unnest($1::text[], $2::int[], $3::timestamptz[]) AS given (subject, version, time)
 WHERE stream.subject = given.subject;

-- name: begin_streams
-- The first that is said of new subjects, their states on a compacted topic, pointers to both, and the answers of the commands that made them; returns the commands' keys that were new. $1 topic, $2 subjects, $3 ids, $4 types, $5 times, $6 causes' sources, $7 and versions, $8 origins, $9 actors, $10 traceparents, $11 payloads, $12 shards; $13 compacted topic, $14 subjects, $15 versions, $16 payloads, $17 traceparents, $18 shards; $19 scopes, $20 ids, $21 digests, $22 answers, ascending by key
WITH said AS (
    SELECT * FROM unnest($2::text[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[], $7::int[], $8::text[],
                         $9::text[], $10::text[], $11::text[], $12::smallint[])
               AS given (subject, id, type, time, cause_source, cause_version, origin, actor, traceparent, payload, shard)
), state AS (
    SELECT * FROM unnest($14::text[], $15::int[], $16::text[], $17::text[], $18::smallint[])
               AS given (subject, version, payload, traceparent, shard)
), streams AS (
    INSERT INTO stream (subject, version, last_time) SELECT subject, 1, time FROM said
), entries AS (
    INSERT INTO journal (aggregateid, version, id, aggregatetype, type, "timestamp", cause_source, cause_version, origin,
                         actor, tracingspancontext, payload)
    SELECT subject, 1, id, $1, type, time, cause_source, cause_version, origin, actor, traceparent, payload FROM said
), states AS (
    INSERT INTO snapshot (topic, aggregateid, version, payload, tracingspancontext)
    SELECT $13, subject, version, payload, traceparent FROM state
), pointers AS (
    INSERT INTO outbox (shard, topic, aggregateid, version)
    SELECT shard, NULL, subject, 1 FROM said UNION ALL SELECT shard, $13, subject, version FROM state
)
INSERT INTO command (scope, id, digest, answer)
SELECT * FROM unnest($19::text[], $20::text[], $21::bytea[], $22::json[])
ON CONFLICT (scope, id) DO NOTHING
RETURNING scope, id;

-- name: said_since
-- What was said of a subject after a version.   $1 subject, $2 version
SELECT version, type, "timestamp", actor FROM journal WHERE aggregateid = $1 AND version > $2 ORDER BY version;

-- name: put_snapshots
-- The latest state of subjects on a compacted topic.   $1 topic, $2 subjects, $3 versions, $4 payloads, $5 traceparents
INSERT INTO snapshot (topic, aggregateid, version, payload, tracingspancontext)
SELECT $1, given.subject, given.version, given.payload, given.traceparent
  FROM unnest($2::text[], $3::int[], $4::text[], $5::text[]) AS given (subject, version, payload, traceparent)
ON CONFLICT (topic, aggregateid) DO UPDATE
   SET version = excluded.version, payload = excluded.payload, tracingspancontext = excluded.tracingspancontext;

-- name: answers
-- Answers of commands that were carried out before.   $1 scopes, $2 ids
SELECT command.scope, command.id, command.digest, command.answer
  FROM unnest($1::text[], $2::text[]) AS given (scope, id)
  JOIN command ON command.scope = given.scope AND command.id = given.id;

-- name: add_answers
-- Answers of commands; returns the keys that were new.   $1 scopes, $2 ids, $3 digests, $4 answers; ascending by key
INSERT INTO command (scope, id, digest, answer)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::json[])
ON CONFLICT (scope, id) DO NOTHING
RETURNING scope, id;

-- name: instant
-- The database's clock: the only clock that decides about deadlines.
SELECT clock_timestamp();
