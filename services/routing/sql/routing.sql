-- name: units
-- Every version of every unit, newest first.
SELECT code, version, name, level, parent, calendar, valid_from, valid_to FROM unit ORDER BY code, version DESC;

-- name: save_unit
-- A version of a unit.   $1 code, $2 version, $3 name, $4 level, $5 parent, $6 calendar, $7 valid from, $8 valid to
INSERT INTO unit (code, version, name, level, parent, calendar, valid_from, valid_to)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: save_head
-- Who heads a unit from a day on.   $1 unit, $2 officer, $3 from
INSERT INTO unit_head (unit, officer, valid_from) VALUES ($1, $2, $3)
ON CONFLICT (unit, valid_from) DO UPDATE SET officer = excluded.officer;

-- name: heads
-- Everybody who ever headed a unit, in order.
SELECT unit, officer, valid_from, valid_to FROM unit_head ORDER BY unit, valid_from;

-- name: end_heads
-- A head ends on the day before the next one begins.   $1 unit
UPDATE unit_head SET valid_to = next.starts - 1
  FROM (SELECT unit, valid_from, lead(valid_from) OVER (PARTITION BY unit ORDER BY valid_from) AS starts
          FROM unit_head WHERE unit = $1) AS next
 WHERE unit_head.unit = next.unit AND unit_head.valid_from = next.valid_from
   AND unit_head.valid_to IS DISTINCT FROM next.starts - 1;

-- name: officers_of
-- Every version of some officers, newest first.   $1 ids
SELECT id, version, unit, roles, sectors, valid_from, valid_to FROM officer WHERE id = ANY($1::text[])
 ORDER BY id, version DESC;

-- name: officers
-- Who is at a unit on a day: of each officer the newest version that holds by then.   $1 unit or NULL (any), $2 day or NULL (the newest version, whatever its days)
SELECT id, version, unit, roles, sectors, valid_from, valid_to
  FROM (SELECT DISTINCT ON (id) * FROM officer WHERE $2::date IS NULL OR valid_from <= $2 ORDER BY id, version DESC) AS one
 WHERE ($1::text IS NULL OR unit = $1) AND ($2::date IS NULL OR valid_to IS NULL OR valid_to >= $2)
 ORDER BY id;

-- name: lock_officer
-- Two who appoint one officer at once wait for each other until the transaction's end.   $1 id
SELECT pg_advisory_xact_lock(hashtextextended('officer:' || $1, 0));

-- name: save_officer
-- A version of an officer.   $1 id, $2 version, $3 unit, $4 roles, $5 sectors, $6 valid from, $7 valid to
INSERT INTO officer (id, version, unit, roles, sectors, valid_from, valid_to) VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: calendar_versions
-- Codes and latest versions of the calendars.
SELECT code, max(version) AS version FROM calendar GROUP BY code;

-- name: calendars
-- Some versions of calendars.   $1 codes, $2 versions
SELECT calendar.code, calendar.version, calendar.data
  FROM unnest($1::text[], $2::int[]) AS given (code, version)
  JOIN calendar ON calendar.code = given.code AND calendar.version = given.version;

-- name: save_calendar
-- A version of a calendar.   $1 code, $2 version, $3 data
INSERT INTO calendar (code, version, data) VALUES ($1, $2, $3);

-- name: procedures
-- What is known of some procedures.   $1 codes
SELECT code, version, level, route, length FROM procedure WHERE code = ANY($1::text[]);

-- name: procedures_on
-- Procedures that take a route, with the length of their shortest term: by its name, or by their level.   $1 route, $2 level or NULL
SELECT code, length FROM procedure
 WHERE length IS NOT NULL AND (route = $1 OR (route IS NULL AND level = $2)) ORDER BY length, code;

-- name: save_procedures
-- intake's catalogue; a lower version never replaces a higher one. $1 codes, $2 versions, $3 levels, $4 routes, $5 lengths; ascending
INSERT INTO procedure (code, version, level, route, length)
SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::int[])
ON CONFLICT (code) DO UPDATE SET version = excluded.version, level = excluded.level, route = excluded.route,
       length = excluded.length
 WHERE procedure.version < excluded.version;

-- name: routes
-- Every version of every route, newest first.
SELECT code, version, level, stages FROM route ORDER BY code, version DESC;

-- name: save_route
-- A version of a route.   $1 code, $2 version, $3 level or NULL, $4 stages
INSERT INTO route (code, version, level, stages) VALUES ($1, $2, $3, $4);

-- name: journeys
-- The journeys of some dossiers.   $1 dossiers
SELECT dossier, procedure, route, route_version, receiving_unit, calendar, calendar_version, origin, state, stage,
       stage_number, run, unit,
       role, officer, received, promise, credit_seconds, due, stage_started, stage_budget_minutes, stage_credit_seconds,
       stage_due, generation, paused_at, pause_reason, supplements, entries, last_at, last_run
  FROM journey WHERE dossier = ANY($1::text[]);

-- name: branches_of
-- The runs of some dossiers that are open together.   $1 dossiers
SELECT dossier, run, stage, stage_number, unit, role, officer, started, budget_minutes, credit_seconds, due, rung,
       generation, fires_at
  FROM branch WHERE dossier = ANY($1::text[]) ORDER BY dossier, run;

-- name: drop_branches
-- Takes the branches of some dossiers away, so that they can be written anew.   $1 dossiers
DELETE FROM branch WHERE dossier = ANY($1::text[]);

-- name: change_last_runs
-- The highest run that was given where the journey shows another, else 0.   $1 dossiers, $2 runs
UPDATE journey SET last_run = g.last_run FROM unnest($1::text[], $2::int[]) AS g (dossier, last_run)
 WHERE journey.dossier = g.dossier;

-- name: change_journeys
-- Journeys that moved. $1 dossiers, $2 states, $3 stages, $4 stage numbers, $5 runs, $6 units, $7 roles, $8 officers, $9 credits, $10 dues, $11 stage starts, $12 stage budgets, $13 stage credits, $14 stage dues, $15 generations, $16 paused at, $17 pause reasons, $18 supplements, $19 entries, $20 last at
UPDATE journey
   SET state = g.state, stage = g.stage, stage_number = g.stage_number, run = g.run, unit = g.unit, role = g.role,
       officer = g.officer, credit_seconds = g.credit_seconds, due = g.due, stage_started = g.stage_started,
       stage_budget_minutes = g.stage_budget_minutes, stage_credit_seconds = g.stage_credit_seconds,
       stage_due = g.stage_due, generation = g.generation, paused_at = g.paused_at, pause_reason = g.pause_reason,
       supplements = g.supplements, entries = g.entries, last_at = g.last_at
  FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::int[], $6::text[], $7::text[], $8::text[],
              $9::bigint[], $10::timestamptz[], $11::timestamptz[], $12::int[], $13::bigint[], $14::timestamptz[],
              $15::int[], $16::timestamptz[], $17::text[], $18::int[], $19::int[], $20::timestamptz[])
       AS g (dossier, state, stage, stage_number, run, unit, role, officer, credit_seconds, due, stage_started,
             stage_budget_minutes, stage_credit_seconds, stage_due, generation, paused_at, pause_reason, supplements,
             entries, last_at)
 WHERE journey.dossier = g.dossier;

-- name: adopt_journeys
-- Records that became live.   $1 dossiers
UPDATE journey SET origin = NULL WHERE dossier = ANY($1::text[]);

-- name: take_timers
-- Takes the timers of some dossiers away, so that they can be written anew.   $1 dossiers
DELETE FROM timer WHERE dossier = ANY($1::text[])
RETURNING dossier, stage_run, stage_rung, stage_generation, stage_at, dossier_rung, dossier_generation, dossier_at;

-- name: due_timers
-- Dossiers with a timer that is due by the database's clock, which stands still for the statement: what moves on while it runs is no bound for an index.   $1 dossiers that are left alone, $2 how many
SELECT DISTINCT dossier FROM (
    (SELECT dossier, fires_at FROM timer WHERE fires_at <= statement_timestamp() AND dossier <> ALL($1::text[])
      ORDER BY fires_at LIMIT $2)
    UNION ALL
    (SELECT dossier, fires_at FROM branch WHERE fires_at <= statement_timestamp() AND dossier <> ALL($1::text[])
      ORDER BY fires_at LIMIT $2)
    ORDER BY fires_at LIMIT $2) AS due ORDER BY dossier;

-- name: timers_of
-- The timers of some dossiers.   $1 dossiers
SELECT dossier, stage_run, stage_rung, stage_generation, stage_at, dossier_rung, dossier_generation, dossier_at
  FROM timer WHERE dossier = ANY($1::text[]);

-- name: timer_depth
-- How many timers wait, when the next one fires, how many dossiers have one overdue, and for how many seconds the oldest.
SELECT coalesce(sum(clocks), 0)::bigint AS timers, min(fires_at) FILTER (WHERE fires_at > clock_timestamp()) AS next_at,
       count(DISTINCT dossier) FILTER (WHERE fires_at <= clock_timestamp()) AS overdue,
       greatest(coalesce(extract(epoch FROM clock_timestamp() - min(fires_at)), 0), 0)::float8 AS late_seconds
  FROM (SELECT dossier, fires_at, num_nonnulls(stage_at, dossier_at) AS clocks FROM timer
        UNION ALL SELECT dossier, fires_at, 1 FROM branch WHERE fires_at IS NOT NULL) AS clock;

-- name: worklist
-- What lies at a unit, most urgent first; of a forked dossier its branches there, one by one.   $1 unit, $2 role or NULL, $3, $4 and $5 stage due, dossier and run of the line before (NULL: none), $6 how many
SELECT journey.dossier, journey.procedure, journey.state, open.stage, open.run, open.unit, open.role,
       open.officer, journey.received, journey.promise, journey.due, open.stage_due, journey.pause_reason, stream.version
  FROM (
    (SELECT dossier, stage, run, unit, role, officer, stage_due
       FROM journey
      WHERE unit = $1 AND state IN ('moving', 'paused') AND origin IS NULL
        AND ($2::text IS NULL OR role = $2)
        AND ($3::timestamptz IS NULL OR (stage_due, dossier) > ($3, $4::text))
        AND (last_run = 0 OR NOT EXISTS (SELECT FROM branch WHERE branch.dossier = journey.dossier))
      ORDER BY stage_due, dossier LIMIT $6)
    UNION ALL
    (SELECT branch.dossier, branch.stage, branch.run, branch.unit, branch.role, branch.officer, branch.due
       FROM branch JOIN journey AS whole ON whole.dossier = branch.dossier
      WHERE branch.unit = $1 AND whole.state IN ('moving', 'paused') AND whole.origin IS NULL
        AND ($2::text IS NULL OR branch.role = $2)
        AND ($3::timestamptz IS NULL OR (branch.due, branch.dossier, branch.run) > ($3, $4::text, $5::int))
      ORDER BY branch.due, branch.dossier, branch.run LIMIT $6)
  ) AS open (dossier, stage, run, unit, role, officer, stage_due)
  JOIN journey ON journey.dossier = open.dossier
  JOIN stream ON stream.subject = open.dossier
 ORDER BY open.stage_due, open.dossier, open.run LIMIT $6;

-- name: ledger_of
-- The ledger of a dossier, in order.   $1 dossier
SELECT number, kind, run, at, stage, unit, officer, seconds, reason FROM ledger WHERE dossier = $1 ORDER BY number;

-- name: version_of
-- How much was said of a subject.   $1 subject
SELECT version FROM stream WHERE subject = $1;
