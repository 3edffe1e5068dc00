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
