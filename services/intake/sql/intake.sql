-- name: procedures
-- Some procedures in their newest version.   $1 codes
SELECT code, version, name, sector, level, term, terms, fees, components, result, source, route,
       legs, online_level, fee_note
  FROM procedure WHERE code = ANY($1::text[]);

-- name: save_procedures
-- New versions of procedures. $1 codes, $2 versions, $3 names, $4 sectors, $5 levels, $6 terms, $7 terms by channel, $8 fees, $9 components, $10 results, $11 sources, $12 routes, $13 legs, $14 online levels, $15 fee notes; ascending
INSERT INTO procedure (code, version, name, sector, level, term, terms, fees, components, result, source, route, legs,
                       online_level, fee_note, search)
SELECT given.*, lower(unaccent(given.name || ' ' || given.code || ' ' || given.sector))
  FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::jsonb[], $8::jsonb[],
              $9::int[], $10::text[], $11::text[], $12::text[], $13::jsonb[], $14::smallint[], $15::text[])
       AS given (code, version, name, sector, level, term, terms, fees, components, result, source, route, legs,
                 online_level, fee_note)
ON CONFLICT (code) DO UPDATE
   SET version = excluded.version, name = excluded.name, sector = excluded.sector, level = excluded.level,
       term = excluded.term, terms = excluded.terms, fees = excluded.fees, components = excluded.components,
       result = excluded.result, source = excluded.source, route = excluded.route, legs = excluded.legs,
       online_level = excluded.online_level, fee_note = excluded.fee_note, search = excluded.search;

-- name: found_procedures
-- Procedures that hold every word asked for, with or without tone marks and case; what holds them in one piece comes first. $1 words, $2 sector or NULL, $3 skip, $4 count
SELECT code, version, name, sector, level, term, terms, fees, components, result, source, route, legs, online_level,
       fee_note, count(*) OVER () AS total
  FROM procedure
 WHERE search LIKE ALL (SELECT '%' || lower(unaccent(regexp_replace(word, '([\\%_])', '\\\1', 'g'))) || '%'
                          FROM unnest($1::text[]) AS asked (word))
   AND ($2::text IS NULL OR sector = $2)
 ORDER BY strpos(search, lower(unaccent(array_to_string($1::text[], ' ')))) = 0, name COLLATE "vi-x-icu", code
OFFSET $3 LIMIT $4;

-- name: sectors
-- Every sector with the number of its procedures.
SELECT sector, count(*)::int AS procedures FROM procedure GROUP BY sector ORDER BY sector COLLATE "vi-x-icu";

-- name: count_procedures
-- How many procedures there are.
SELECT count(*)::int FROM procedure;

-- name: routes
-- Lengths of the copies of some routes.   $1 codes
SELECT code, length FROM route WHERE code = ANY($1::text[]);

-- name: save_routes
-- Copies of routes; a lower version never replaces a higher one.   $1 codes, $2 versions, $3 lengths; ascending
INSERT INTO route (code, version, length) SELECT * FROM unnest($1::text[], $2::int[], $3::int[])
ON CONFLICT (code) DO UPDATE SET version = excluded.version, length = excluded.length
 WHERE route.version < excluded.version;

-- name: units
-- Every version of the copies of units, newest first.
SELECT code, version, name, level, calendar, valid_from, valid_to FROM unit ORDER BY code, version DESC;

-- name: save_units
-- Copies of units.   $1 codes, $2 versions, $3 names, $4 levels, $5 calendars, $6 valid from, $7 valid to; ascending
INSERT INTO unit (code, version, name, level, calendar, valid_from, valid_to)
SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[])
ON CONFLICT (code, version) DO NOTHING;

-- name: marks
-- The clock, and by what a process sees whether what it keeps still holds. Versions of units and of calendars are only
-- ever added: their number is enough.   $1 codes of procedures
SELECT clock_timestamp() AS now,
       (SELECT count(*) FROM unit)::int AS units,
       (SELECT count(*) FROM calendar)::int AS calendars,
       ARRAY(SELECT code FROM procedure WHERE code = ANY($1::text[]) ORDER BY code) AS codes,
       ARRAY(SELECT version FROM procedure WHERE code = ANY($1::text[]) ORDER BY code) AS versions;

-- name: calendar_versions
-- Codes and newest versions of the calendars.
SELECT code, max(version) AS version FROM calendar GROUP BY code;

-- name: calendars
-- Some versions of calendars.   $1 codes, $2 versions
SELECT calendar.code, calendar.version, calendar.data
  FROM unnest($1::text[], $2::int[]) AS given (code, version)
  JOIN calendar ON calendar.code = given.code AND calendar.version = given.version;

-- name: save_calendars
-- Copies of calendars.   $1 codes, $2 versions, $3 data; ascending
INSERT INTO calendar (code, version, data) SELECT * FROM unnest($1::text[], $2::int[], $3::jsonb[])
ON CONFLICT (code, version) DO NOTHING;

-- name: take_numbers
-- Reserves a range of ordinals for each desk and day, ascending; returns the last of each.   $1 units, $2 days, $3 how many
INSERT INTO counter AS mine (unit, day, last) SELECT * FROM unnest($1::text[], $2::date[], $3::int[])
ON CONFLICT (unit, day) DO UPDATE SET last = mine.last + excluded.last
RETURNING unit, day, last;

-- name: add_dossiers
-- New dossiers with their citizens' sealed data. $1 ids, $2 codes, $3 units, $4 procedures, $5 their versions, $6 channels, $7 received, $8 promises, $9 calendars, $10 their versions, $11 components as JSON, $12 origins, $13 attributes, $14 statuses, $15 dues, $16 at units, $17 as of; $18 dossiers, $19 wrapped keys, $20 applicants, $21 contacts, $22 their versions
WITH citizens AS (
    INSERT INTO citizen (dossier, wrapped_key, applicant, contact, contact_version)
    SELECT * FROM unnest($18::text[], $19::text[], $20::text[], $21::text[], $22::int[])
)
INSERT INTO dossier (id, code, unit, procedure, procedure_version, channel, received, promise, calendar,
                     calendar_version, components, origin, attributes, status, due, at_unit, as_of)
SELECT id, code, unit, procedure, procedure_version, channel, received, promise, calendar, calendar_version,
       ARRAY(SELECT json_array_elements_text(components)), origin, attributes, status, due, at_unit, as_of
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::text[], $7::timestamptz[],
              $8::timestamptz[], $9::text[], $10::int[], $11::json[], $12::text[], $13::jsonb[], $14::smallint[],
              $15::timestamptz[], $16::text[], $17::timestamptz[])
       AS given (id, code, unit, procedure, procedure_version, channel, received, promise, calendar, calendar_version,
                 components, origin, attributes, status, due, at_unit, as_of);

-- name: dossiers
-- Some dossiers, by stream id.   $1 ids
SELECT id, code, unit, procedure, procedure_version, channel, received, promise, calendar, calendar_version, components,
       origin, attributes, status, due, at_unit, at_stage, run, late, supplements, requested, notices_sent, notices_failed,
       as_of, places
  FROM dossier WHERE id = ANY($1::text[]);

-- name: dossier_id
-- The stream id of a printed code.   $1 code
SELECT id FROM dossier WHERE code = $1;

-- name: citizens
-- The sealed data of some dossiers.   $1 dossiers
SELECT dossier, wrapped_key, applicant, contact, contact_version FROM citizen WHERE dossier = ANY($1::text[]);

-- name: erase_citizens
-- Destroys the sealed data of some dossiers with their wrapped keys.   $1 dossiers, ascending
DELETE FROM citizen WHERE dossier = ANY($1::text[]) RETURNING dossier, contact_version;

-- name: add_erasures
-- That data were erased. $1 dossiers, $2 events, $3 versions, $4 contact versions, $5 times, $6 reasons, $7 actors; ascending
INSERT INTO erasure (dossier, event, version, contact_version, "time", reason, actor)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::int[], $4::int[], $5::timestamptz[], $6::text[], $7::text[]);

-- name: erasures
-- The erasures of some dossiers.   $1 dossiers
SELECT dossier, event::text AS event, version, contact_version, "time", reason, actor
  FROM erasure WHERE dossier = ANY($1::text[]);

-- name: erasures_after
-- The next erasures.   $1 after this dossier, $2 how many
SELECT dossier, event::text AS event, version, contact_version, "time", reason, actor
  FROM erasure WHERE dossier > $1 ORDER BY dossier LIMIT $2;

-- name: sender_of
-- Who handed a dossier in: the actor of its first event.   $1 dossier
SELECT actor FROM journal WHERE aggregateid = $1 AND version = 1;

-- name: change_dossiers
-- What was heard of dossiers. $1 ids, $2 statuses, $3 dues, $4 at units, $5 at stages, $6 runs, $7 late, $8 supplements, $9 requested, $10 notices sent, $11 notices failed, $12 as of, $13 origins
UPDATE dossier
   SET status = g.status, due = g.due, at_unit = g.at_unit, at_stage = g.at_stage, run = g.run, late = g.late,
       supplements = g.supplements, requested = g.requested, notices_sent = g.notices_sent,
       notices_failed = g.notices_failed, as_of = g.as_of, origin = g.origin
  FROM unnest($1::text[], $2::smallint[], $3::timestamptz[], $4::text[], $5::text[], $6::int[], $7::boolean[], $8::int[],
              $9::text[], $10::int[], $11::int[], $12::timestamptz[], $13::text[])
       AS g (id, status, due, at_unit, at_stage, run, late, supplements, requested, notices_sent, notices_failed, as_of,
             origin)
 WHERE dossier.id = g.id;

-- name: version_of
-- How much was said of a subject.   $1 subject
SELECT version FROM stream WHERE subject = $1;

-- name: change_places
-- Dossiers that lie in several places now, or no longer do.   $1 ids, $2 places or NULL
UPDATE dossier SET places = g.places FROM unnest($1::text[], $2::jsonb[]) AS g (id, places) WHERE dossier.id = g.id;

-- name: count_dossiers
-- How many dossiers there are, live and replayed.
SELECT count(*) FILTER (WHERE origin IS NULL)::int AS live, count(*) FILTER (WHERE origin IS NOT NULL)::int AS replayed
  FROM dossier;
