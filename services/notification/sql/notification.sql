-- name: units
-- What some units are called.   $1 codes
SELECT code, version, name FROM unit WHERE code = ANY($1::text[]);

-- name: save_units
-- A lower version never replaces a higher one.   $1 codes, $2 versions, $3 names; ascending by code
INSERT INTO unit (code, version, name) SELECT * FROM unnest($1::text[], $2::int[], $3::text[])
ON CONFLICT (code) DO UPDATE SET version = excluded.version, name = excluded.name
 WHERE unit.version < excluded.version;

-- name: procedures
-- What some procedures are called.   $1 codes
SELECT code, version, name FROM procedure WHERE code = ANY($1::text[]);

-- name: save_procedures
-- A lower version never replaces a higher one.   $1 codes, $2 versions, $3 names; ascending by code
INSERT INTO procedure (code, version, name) SELECT * FROM unnest($1::text[], $2::int[], $3::text[])
ON CONFLICT (code) DO UPDATE SET version = excluded.version, name = excluded.name
 WHERE procedure.version < excluded.version;

-- name: contact_states
-- Which versions of some dossiers' contacts are here.   $1 dossiers
SELECT dossier, version, erased FROM contact WHERE dossier = ANY($1::text[]);

-- name: save_contacts
-- The highest version wins, and an erasure over a contact of its own version. $1 dossiers, $2 versions, $3 wrapped keys, $4 sealed contacts; ascending by dossier
INSERT INTO contact (dossier, version, erased, wrapped_key, sealed)
SELECT given.dossier, given.version, given.sealed IS NULL, given.wrapped_key, given.sealed
  FROM unnest($1::text[], $2::int[], $3::text[], $4::text[]) AS given (dossier, version, wrapped_key, sealed)
ON CONFLICT (dossier) DO UPDATE
   SET version = excluded.version, erased = excluded.erased, wrapped_key = excluded.wrapped_key,
       sealed = excluded.sealed
 WHERE contact.version < excluded.version OR (contact.version = excluded.version AND excluded.erased);

-- name: dossiers
-- Some dossiers.   $1 ids
SELECT id, code, procedure, unit, promise, contact_version, origin FROM dossier WHERE id = ANY($1::text[]);

-- name: adopt_dossiers
-- Records that became live: from now on their citizens are told.   $1 ids
UPDATE dossier SET origin = NULL WHERE id = ANY($1::text[]);

-- name: add_notices
-- Notices in the order in which they are to go out; one that is there already stays as it is. $1 ids, $2 dossiers, $3 sources, $4 versions, $5 templates, $6 channels, $7 parameters, $8 states, $9 traceparents
INSERT INTO notice (id, dossier, source, version, template, channel, parameters, state, traceparent, closed)
SELECT given.id, given.dossier, given.source, given.version, given.template, given.channel, given.parameters, given.state,
       given.traceparent, CASE WHEN given.state = 'unreachable' THEN clock_timestamp() END
  FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::jsonb[], $8::text[], $9::text[])
       WITH ORDINALITY
       AS given (id, dossier, source, version, template, channel, parameters, state, traceparent, place)
 ORDER BY given.place
ON CONFLICT (source, dossier, version, channel) DO NOTHING;

-- name: look_in_order
-- For the transaction: what is due is read in the order of its index and no further than it is taken. Statistics of quieter times say that there is little; to gather all of it and sort it would cost the whole backlog for every few letters.
SET LOCAL enable_sort = off;

-- name: take_due_notices
-- Takes due notices for a while, of each dossier the earliest unsent one, with its contact. Each time that one is taken it is taken for twice as long: a process that is killed again and again neither sends a letter as often nor uses its attempts up within minutes.   $1 how many, $2 for how long the first time, $3 notices that are left alone
WITH due AS (
    SELECT notice.id FROM notice
     WHERE notice.state IN ('waiting', 'sending') AND notice.due_at <= statement_timestamp()
       AND coalesce(notice.claimed_until, '-infinity') <= statement_timestamp()
       AND notice.id <> ALL($3::text[])
       AND NOT EXISTS (SELECT FROM notice AS earlier
                        WHERE earlier.dossier = notice.dossier AND earlier.number < notice.number
                          AND earlier.state IN ('waiting', 'sending'))
     ORDER BY notice.due_at, notice.number
     LIMIT $1
       FOR UPDATE SKIP LOCKED),
taken AS (
    UPDATE notice SET state = 'sending', attempts = attempts + 1,
           claimed_until = clock_timestamp() + $2::interval * 2 ^ attempts
      FROM due WHERE notice.id = due.id
    RETURNING notice.id, notice.dossier, notice.source, notice.version, notice.template, notice.parameters,
              notice.written, notice.traceparent, notice.attempts)
SELECT taken.*, contact.version AS contact_version, contact.wrapped_key, contact.sealed
  FROM taken LEFT JOIN contact ON contact.dossier = taken.dossier;

-- name: close_lost_attempts
-- Earlier attempts of notices that were claimed anew: nobody knows what became of them.   $1 notices
UPDATE attempt SET ended = clock_timestamp(), outcome = 'unknown', reason = 'lease_ran_out'
 WHERE notice = ANY($1::text[]) AND outcome IS NULL;

-- name: notices_maybe_arrived
-- Which of these had an attempt of which nobody knows what became.   $1 notices
SELECT DISTINCT notice FROM attempt WHERE notice = ANY($1::text[]) AND outcome = 'unknown';

-- name: add_attempts
-- Attempts that begin now.   $1 ids, $2 notices, $3 numbers
INSERT INTO attempt (id, notice, number) SELECT * FROM unnest($1::text[], $2::text[], $3::int[]);

-- name: notice_standings
-- How notices stand, while their dossiers are locked; maybe_repeated: another attempt may have arrived.   $1 notices, $2 the attempt of each that comes back
SELECT notice.id, notice.state, notice.attempts,
       EXISTS (SELECT FROM attempt WHERE attempt.notice = notice.id AND attempt.number <> given.number
                                     AND (attempt.outcome IS NULL OR attempt.outcome IN ('unknown', 'accepted')))
           AS maybe_repeated
  FROM unnest($1::text[], $2::int[]) AS given (notice, number) JOIN notice ON notice.id = given.notice;

-- name: end_attempts
-- What came of attempts.   $1 notices, $2 numbers, $3 outcomes, $4 the provider's codes, $5 reasons
UPDATE attempt SET ended = clock_timestamp(), outcome = given.outcome, provider_code = given.code, reason = given.reason
  FROM unnest($1::text[], $2::int[], $3::text[], $4::int[], $5::text[])
       AS given (notice, number, outcome, code, reason)
 WHERE attempt.notice = given.notice AND attempt.number = given.number;

-- name: drop_attempts
-- They were none: nothing left the house.   $1 notices, $2 numbers
DELETE FROM attempt USING unnest($1::text[], $2::int[]) AS given (notice, number)
 WHERE attempt.notice = given.notice AND attempt.number = given.number;

-- name: close_notices
-- Notices that were sent or given up.   $1 notices, $2 states, $3 reasons
UPDATE notice SET state = given.state, reason = given.reason, claimed_until = NULL, closed = clock_timestamp()
  FROM unnest($1::text[], $2::text[], $3::text[]) AS given (id, state, reason) WHERE notice.id = given.id;

-- name: postpone_notices
-- Once more after a while.   $1 notices, $2 after, $3 attempts that count
UPDATE notice SET state = 'waiting', claimed_until = NULL, due_at = clock_timestamp() + given.after,
       attempts = given.attempts
  FROM unnest($1::text[], $2::interval[], $3::int[]) AS given (id, after, attempts) WHERE notice.id = given.id;

-- name: notices_of
-- The notices of a dossier, in order.   $1 dossier
SELECT id, dossier, source, version, template, state, reason, written, due_at, closed
  FROM notice WHERE dossier = $1 ORDER BY number;

-- name: attempts_of
-- The attempts of a dossier's notices, in order.   $1 dossier
SELECT attempt.notice, attempt.number, attempt.started, attempt.ended, attempt.outcome, attempt.provider_code,
       attempt.reason
  FROM attempt JOIN notice ON notice.id = attempt.notice
 WHERE notice.dossier = $1 ORDER BY notice.number, attempt.number;

-- name: notice_depth
-- How many notices wait or are under way, since when the oldest, and how many were given up.
SELECT (SELECT count(*) FROM notice WHERE state IN ('waiting', 'sending')) AS waiting,
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(written)), 0)::float8
          FROM notice WHERE state IN ('waiting', 'sending')) AS oldest_seconds,
       (SELECT count(*) FROM notice WHERE state = 'failed') AS failed;
