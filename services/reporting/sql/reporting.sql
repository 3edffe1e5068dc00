-- name: dossiers
-- What is known of some dossiers.   $1 dossiers
SELECT dossier, origin, as_of, code, procedure, receiving_unit, channel, calendar, received, promise,
       withdrawal_requested, handed_over, phase, stage, run, unit, officer, stage_due, due, generation,
       supplements, closed, stage_near, stage_late, dossier_near, dossier_late, notices_sent, notices_failed,
       status, standing, ended, runs
  FROM dossier_now WHERE dossier = ANY($1::text[]);

-- name: change_dossiers
-- Dossiers of which something new was heard; the columns of `dossiers` in their order.   $1 dossier, $2 origin, $3 as_of, $4 code, $5 procedure, $6 receiving_unit, $7 channel, $8 calendar, $9 received, $10 promise, $11 withdrawal_requested, $12 handed_over, $13 phase, $14 stage, $15 run, $16 unit, $17 officer, $18 stage_due, $19 due, $20 generation, $21 supplements, $22 closed, $23 stage_near, $24 stage_late, $25 dossier_near, $26 dossier_late, $27 notices_sent, $28 notices_failed, $29 status, $30 standing, $31 ended, $32 runs
UPDATE dossier_now
   SET origin = g.origin, as_of = g.as_of, code = g.code, procedure = g.procedure, receiving_unit = g.receiving_unit,
       channel = g.channel, calendar = g.calendar, received = g.received, promise = g.promise,
       withdrawal_requested = g.withdrawal_requested, handed_over = g.handed_over, phase = g.phase, stage = g.stage,
       run = g.run, unit = g.unit, officer = g.officer, stage_due = g.stage_due, due = g.due,
       generation = g.generation, supplements = g.supplements, closed = g.closed, stage_near = g.stage_near,
       stage_late = g.stage_late, dossier_near = g.dossier_near, dossier_late = g.dossier_late,
       notices_sent = g.notices_sent, notices_failed = g.notices_failed, status = g.status, standing = g.standing,
       ended = g.ended, runs = g.runs
  FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
              $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[],
              $13::smallint[], $14::text[], $15::int[], $16::text[], $17::text[], $18::timestamptz[],
              $19::timestamptz[], $20::int[], $21::int[], $22::timestamptz[], $23::boolean[],
              $24::boolean[], $25::boolean[], $26::boolean[], $27::int[], $28::int[], $29::smallint[],
              $30::text[], $31::timestamptz[], $32::jsonb[])
       AS g (dossier, origin, as_of, code, procedure, receiving_unit, channel, calendar, received, promise,
             withdrawal_requested, handed_over, phase, stage, run, unit, officer, stage_due, due,
             generation, supplements, closed, stage_near, stage_late, dossier_near, dossier_late,
             notices_sent, notices_failed, status, standing, ended, runs)
 WHERE dossier_now.dossier = g.dossier;

-- name: save_procedures
-- intake's catalogue; a lower version never replaces a higher one.   $1 codes, $2 versions, $3 names, $4 sectors, $5 levels; ascending
INSERT INTO procedure (code, version, name, sector, level)
SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[])
ON CONFLICT (code) DO UPDATE
   SET version = excluded.version, name = excluded.name, sector = excluded.sector, level = excluded.level
 WHERE procedure.version < excluded.version;

-- name: save_units
-- routing's units; a lower version never replaces a higher one.   $1 codes, $2 versions, $3 names, $4 levels, $5 parents, $6 calendars; ascending
INSERT INTO unit (code, version, name, level, parent, calendar)
SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[])
ON CONFLICT (code) DO UPDATE
   SET version = excluded.version, name = excluded.name, level = excluded.level, parent = excluded.parent,
       calendar = excluded.calendar
 WHERE unit.version < excluded.version;

-- name: save_calendars
-- routing's calendars; a lower version never replaces a higher one.   $1 codes, $2 versions, $3 zones; ascending
INSERT INTO calendar (code, version, zone) SELECT * FROM unnest($1::text[], $2::int[], $3::text[])
ON CONFLICT (code) DO UPDATE SET version = excluded.version, zone = excluded.zone
 WHERE calendar.version < excluded.version;

-- name: add_cells
-- What a batch changed in the picture, as parts.   $1 units, $2 stages, $3 statuses, $4 standings, $5 whether the promise is broken, $6 in which figures they count, $7 by how many
INSERT INTO cell (unit, stage, status, standing, dossier_late, counts, count)
SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::text[], $5::boolean[], $6::text[], $7::int[]);

-- name: add_pace
-- How many events of each speaker a batch brought.   $1 minutes, $2 speakers, $3 counts
INSERT INTO pace (minute, source, count) SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::int[]);

-- name: merge_cells
-- Parts of the same cell become one; what adds up to nothing goes. Two that merge at once take different rows.
WITH many AS (
    SELECT unit, stage, status, standing, dossier_late, counts FROM cell GROUP BY 1, 2, 3, 4, 5, 6 HAVING count(*) > 1
), gone AS (
    DELETE FROM cell USING many
     WHERE cell.status = many.status AND cell.standing = many.standing AND cell.dossier_late = many.dossier_late
       AND cell.counts = many.counts
       AND cell.unit IS NOT DISTINCT FROM many.unit AND cell.stage IS NOT DISTINCT FROM many.stage
    RETURNING cell.*
)
INSERT INTO cell (unit, stage, status, standing, dossier_late, counts, count)
SELECT unit, stage, status, standing, dossier_late, counts, sum(count)
  FROM gone GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(count) <> 0;

-- name: merge_pace
-- The same for the events of a minute.   $1 only minutes that are over by then
WITH many AS (
    SELECT minute, source FROM pace WHERE minute < $1::timestamptz GROUP BY 1, 2 HAVING count(*) > 1
), gone AS (
    DELETE FROM pace USING many WHERE pace.minute = many.minute AND pace.source = many.source RETURNING pace.*
)
INSERT INTO pace (minute, source, count) SELECT minute, source, sum(count) FROM gone GROUP BY 1, 2;

-- name: forget_pace
-- Minutes that nobody looks at any more.   $1 before
DELETE FROM pace WHERE minute < $1::timestamptz;

-- name: pace
-- Events by the minute in which their speaker recorded them.   $1 since
SELECT minute, source, sum(count)::int AS count FROM pace WHERE minute >= $1::timestamptz GROUP BY 1, 2 ORDER BY 1, 2;

-- name: recounted_pace
-- The same from the timeline alone.   $1 since
SELECT date_trunc('minute', recorded) AS minute, source, count(*)::int AS count FROM timeline
 WHERE recorded >= $1::timestamptz GROUP BY 1, 2 ORDER BY 1, 2;

-- name: cells
-- The picture of now from its parts. Of what is done, today's is told apart by the few that ended lately.   $1 now
WITH kept AS (
    SELECT unit, stage, status, standing, dossier_late, counts, sum(count)::int AS count
      FROM cell GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(count) <> 0
), today AS (
    SELECT coalesce(now.unit, now.receiving_unit) AS unit, now.status, now.dossier_late, count(*)::int AS count
      FROM dossier_now AS now LEFT JOIN calendar ON calendar.code = now.calendar
     WHERE now.origin IS NULL AND now.ended >= $1::timestamptz - interval '2 days' AND now.standing = 'done'
       AND (now.ended AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date
         = ($1::timestamptz AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date
     GROUP BY 1, 2, 3
)
SELECT kept.unit, kept.stage, kept.status, kept.standing, kept.dossier_late, false AS done_today,
       kept.count - coalesce(today.count, 0) AS count, kept.counts
  FROM kept LEFT JOIN today ON kept.standing = 'done' AND today.unit IS NOT DISTINCT FROM kept.unit
                           AND today.status = kept.status AND today.dossier_late = kept.dossier_late
 WHERE kept.count <> coalesce(today.count, 0)
UNION ALL
SELECT unit, NULL, status, 'done', dossier_late, true, count, 'all' FROM today;

-- name: cells_of_dossiers
-- The same counted from the dossiers one by one, to be compared.   $1 now
WITH lying AS (
    SELECT coalesce(now.unit, now.receiving_unit) AS unit, CASE WHEN now.ended IS NULL THEN now.stage END AS stage,
           now.status, now.standing, now.dossier_late,
           now.standing = 'done'
           AND (now.ended AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date
             = ($1::timestamptz AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date AS done_today, 'all' AS counts
      FROM dossier_now AS now LEFT JOIN calendar ON calendar.code = now.calendar
     WHERE now.origin IS NULL AND (now.runs IS NULL OR now.ended IS NOT NULL)
    UNION ALL
    SELECT NULL, NULL, status, standing, dossier_late, false, 'total'
      FROM dossier_now WHERE origin IS NULL AND runs IS NOT NULL AND ended IS NULL
    UNION ALL
    SELECT unit, NULL, status, worst_of(array_agg(standing)), dossier_late, false, 'unit'
      FROM place WHERE origin IS NULL GROUP BY dossier, unit, status, dossier_late
    UNION ALL
    SELECT unit, stage, status, standing, dossier_late, false, 'place' FROM place WHERE origin IS NULL
)
SELECT unit, stage, status, standing, dossier_late, done_today, count(*)::int AS count, counts
  FROM lying GROUP BY unit, stage, status, standing, dossier_late, done_today, counts;

-- name: recounted_cells
-- The same from the timeline alone.   $1 now
WITH stood AS (
    SELECT * FROM standing_on('infinity', 'infinity', NULL)
), places AS (
    SELECT stood.dossier, stood.status, stood.dossier_late, run.unit, run.stage,
           CASE WHEN run.late OR stood.dossier_late THEN 'late' WHEN stood.status IN (5, 6) THEN 'paused'
                WHEN run.near OR stood.dossier_near THEN 'near' ELSE 'on_time' END AS standing
      FROM stood JOIN runs_on('infinity', 'infinity') AS run ON run.dossier = stood.dossier
     WHERE stood.several AND stood.ended IS NULL
), lying AS (
    SELECT unit, CASE WHEN ended IS NULL THEN stage END AS stage, status, standing, dossier_late,
           standing = 'done' AND (ended AT TIME ZONE zone)::date = ($1::timestamptz AT TIME ZONE zone)::date AS done_today,
           'all' AS counts
      FROM stood WHERE NOT several OR ended IS NOT NULL
    UNION ALL
    SELECT NULL, NULL, status, standing, dossier_late, false, 'total' FROM stood WHERE several AND ended IS NULL
    UNION ALL
    SELECT unit, NULL, status, worst_of(array_agg(standing)), dossier_late, false, 'unit'
      FROM places GROUP BY dossier, unit, status, dossier_late
    UNION ALL
    SELECT unit, stage, status, standing, dossier_late, false, 'place' FROM places
)
SELECT unit, stage, status, standing, dossier_late, done_today, count(*)::int AS count, counts
  FROM lying GROUP BY unit, stage, status, standing, dossier_late, done_today, counts;

-- name: days
-- What came in and what was done on each day of an office's calendar, by unit.   $1 since (an instant before the first day), $2 first day
WITH dated AS (
    SELECT (now.received AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date AS day,
           coalesce(now.receiving_unit, now.unit) AS unit, 1 AS received, 0 AS on_time, 0 AS late
      FROM dossier_now AS now LEFT JOIN calendar ON calendar.code = now.calendar
     WHERE now.origin IS NULL AND now.received >= $1::timestamptz
    UNION ALL
    SELECT (now.ended AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date, coalesce(now.unit, now.receiving_unit),
           0, (NOT now.dossier_late)::int, now.dossier_late::int
      FROM dossier_now AS now LEFT JOIN calendar ON calendar.code = now.calendar
     WHERE now.origin IS NULL AND now.ended >= $1::timestamptz AND now.standing = 'done'
)
SELECT day, unit, sum(received)::int AS received, sum(on_time)::int AS on_time, sum(late)::int AS late
  FROM dated WHERE day >= $2::date GROUP BY 1, 2 ORDER BY 1, 2;

-- name: recounted_days
-- The same from the timeline alone; a reception's unit is that of its event.   $1 first day
WITH dated AS (
    SELECT (stood.received AT TIME ZONE stood.zone)::date AS day, reception.unit, 1 AS received, 0 AS on_time, 0 AS late
      FROM standing_on('infinity', 'infinity', NULL) AS stood
      JOIN timeline AS reception ON reception.dossier = stood.dossier AND reception.type = 'DossierReceived'
    UNION ALL
    SELECT (ended AT TIME ZONE zone)::date, unit, 0, (NOT dossier_late)::int, dossier_late::int
      FROM standing_on('infinity', 'infinity', NULL) WHERE standing = 'done'
)
SELECT day, unit, sum(received)::int AS received, sum(on_time)::int AS on_time, sum(late)::int AS late
  FROM dated WHERE day >= $1::date GROUP BY 1, 2 ORDER BY 1, 2;

-- name: counts
-- What a report of a period counts, as of its last day.   $1 from, $2 to, $3 known on, $4 the record that the dossiers came from, or NULL (live)
WITH dated AS (
    SELECT channel, status, (received AT TIME ZONE zone)::date AS received_on, (ended AT TIME ZONE zone)::date AS ended_on,
           (due AT TIME ZONE zone)::date AS due_on
      FROM standing_on($2::date, $3::timestamptz, $4::text) WHERE received IS NOT NULL
), placed AS (
    SELECT *, received_on >= $1::date AS is_new, ended_on >= $1::date AS ended_now, ended_on IS NULL AS is_open,
           status IN (9, 10) AS is_done
      FROM dated
)
SELECT count(*) FILTER (WHERE NOT is_new AND (is_open OR ended_now))::int AS carried_over,
       count(*) FILTER (WHERE is_new AND channel = 'desk')::int AS received_at_desk,
       count(*) FILTER (WHERE is_new AND channel = 'online')::int AS received_online,
       count(*) FILTER (WHERE is_new AND channel = 'post')::int AS received_by_post,
       count(*) FILTER (WHERE is_done AND ended_now AND ended_on < due_on)::int AS finished_early,
       count(*) FILTER (WHERE is_done AND ended_now AND coalesce(ended_on = due_on, true))::int AS finished_on_time,
       count(*) FILTER (WHERE is_done AND ended_now AND ended_on > due_on)::int AS finished_late,
       count(*) FILTER (WHERE status IN (2, 4) AND coalesce(due_on >= $2::date, true))::int AS in_process_within,
       count(*) FILTER (WHERE status IN (2, 4) AND due_on < $2::date)::int AS in_process_overdue,
       count(*) FILTER (WHERE status = 5)::int AS waiting_for_supplement,
       count(*) FILTER (WHERE status = 6)::int AS waiting_for_fee,
       count(*) FILTER (WHERE status = 7 AND ended_now)::int AS withdrawn
  FROM placed;

-- name: found_dossiers
-- The dossiers behind a figure, the most urgent first.   $1 origin or NULL (live), $2 unit, $3 stage ('' for in none yet), $4 status, $5 standing, $6 whether the promise was broken, $7 beginning of the code, $8 whether only of those finished today, $9 now, $10 received on a day, $11 ended on a day, $12 ended since a day, $13 how many; the last of the page before: $14 dossier or NULL, $15 its end, $16 its urgency; NULL: any
SELECT now.dossier, now.code, now.procedure, procedure.name AS procedure_name, now.channel, now.received, now.promise,
       coalesce(now.due, now.promise) AS due, now.status, now.standing, now.stage,
       coalesce(now.unit, now.receiving_unit) AS unit, now.officer, now.stage_due, now.ended, now.dossier_late,
       now.withdrawal_requested IS NOT NULL AND now.ended IS NULL AS withdrawal_requested, now.as_of,
       CASE WHEN now.ended IS NULL THEN now.runs END AS runs
  FROM dossier_now AS now
  LEFT JOIN procedure ON procedure.code = now.procedure
  LEFT JOIN calendar ON calendar.code = now.calendar
 WHERE (now.origin = $1 OR ($1::text IS NULL AND now.origin IS NULL))
   AND ($4::smallint IS NULL OR now.status = $4)
   AND (((now.runs IS NULL OR now.ended IS NOT NULL OR ($2::text IS NULL AND $3::text IS NULL))
         AND ($2::text IS NULL OR coalesce(now.unit, now.receiving_unit) = $2)
         AND ($3::text IS NULL OR (coalesce(now.stage, '') = $3 AND now.ended IS NULL))
         AND ($5::text IS NULL OR now.standing = $5
              OR ($5 = 'open' AND now.standing IN ('on_time', 'near', 'late', 'paused'))))
        OR (now.runs IS NOT NULL AND ($2::text IS NOT NULL OR $3::text IS NOT NULL)
            AND EXISTS (SELECT FROM place WHERE place.dossier = now.dossier
                           AND ($2::text IS NULL OR place.unit = $2) AND ($3::text IS NULL OR place.stage = $3)
                        HAVING count(*) > 0 AND ($5::text IS NULL OR $5 = 'open' OR worst_of(array_agg(place.standing)) = $5))))
   AND ($6::boolean IS NULL OR now.dossier_late = $6)
   AND ($7::text IS NULL OR (now.code >= $7 AND now.code < $7 || chr(1114111)))
   AND (NOT $8::boolean
        OR (now.standing = 'done' AND (now.ended AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date
                                    = ($9::timestamptz AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date))
   AND ($10::date IS NULL
        OR (now.received AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date = $10::date)
   AND ($11::date IS NULL OR (now.ended AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date = $11::date)
   AND ($12::date IS NULL OR (now.ended AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date >= $12::date)
   AND ($14::text IS NULL
        OR ($15::timestamptz IS NULL AND now.ended IS NOT NULL)
        OR now.ended < $15::timestamptz
        OR (now.ended IS NOT DISTINCT FROM $15::timestamptz
            AND (coalesce(least(now.stage_due, coalesce(now.due, now.promise)), 'infinity'), now.dossier)
              > (coalesce($16::timestamptz, 'infinity'), $14::text)))
 ORDER BY now.ended DESC NULLS FIRST, coalesce(least(now.stage_due, coalesce(now.due, now.promise)), 'infinity'), now.dossier
 LIMIT $13;

-- name: count_found
-- How many there are in all.   $1 origin or NULL (live), $2 unit, $3 stage ('' for in none yet), $4 status, $5 standing, $6 whether the promise was broken, $7 beginning of the code, $8 whether only of those finished today, $9 now, $10 received on a day, $11 ended on a day, $12 ended since a day; NULL: any
SELECT count(*)::int
  FROM dossier_now AS now LEFT JOIN calendar ON calendar.code = now.calendar
 WHERE (now.origin = $1 OR ($1::text IS NULL AND now.origin IS NULL))
   AND ($4::smallint IS NULL OR now.status = $4)
   AND (((now.runs IS NULL OR now.ended IS NOT NULL OR ($2::text IS NULL AND $3::text IS NULL))
         AND ($2::text IS NULL OR coalesce(now.unit, now.receiving_unit) = $2)
         AND ($3::text IS NULL OR (coalesce(now.stage, '') = $3 AND now.ended IS NULL))
         AND ($5::text IS NULL OR now.standing = $5
              OR ($5 = 'open' AND now.standing IN ('on_time', 'near', 'late', 'paused'))))
        OR (now.runs IS NOT NULL AND ($2::text IS NOT NULL OR $3::text IS NOT NULL)
            AND EXISTS (SELECT FROM place WHERE place.dossier = now.dossier
                           AND ($2::text IS NULL OR place.unit = $2) AND ($3::text IS NULL OR place.stage = $3)
                        HAVING count(*) > 0 AND ($5::text IS NULL OR $5 = 'open' OR worst_of(array_agg(place.standing)) = $5))))
   AND ($6::boolean IS NULL OR now.dossier_late = $6)
   AND ($7::text IS NULL OR (now.code >= $7 AND now.code < $7 || chr(1114111)))
   AND (NOT $8::boolean
        OR (now.standing = 'done' AND (now.ended AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date
                                    = ($9::timestamptz AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date))
   AND ($10::date IS NULL
        OR (now.received AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date = $10::date)
   AND ($11::date IS NULL OR (now.ended AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date = $11::date)
   AND ($12::date IS NULL OR (now.ended AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date >= $12::date);

-- name: entries
-- What was heard of a dossier, in the order in which it happened.   $1 dossier
SELECT dossier, source, version, type, time, recorded, origin, actor, unit, stage, run, officer, late, detail
  FROM timeline WHERE dossier = $1
 ORDER BY time, recorded, array_position(ARRAY['intake', 'routing', 'notification'], source), version;

-- name: steps
-- The steps of a dossier, in order.   $1 dossier
SELECT dossier, source, version, type, time, recorded, origin, actor, unit, stage, run, officer, late, detail
  FROM timeline WHERE dossier = $1 AND source = 'routing' AND type = 'StageStarted' ORDER BY version;

-- name: moved
-- What was heard of live dossiers since a transaction, newest first, up to the oldest that still runs.   $1 since, $2 how many
SELECT heard::text::bigint AS heard, dossier, source, version, type, time, recorded, origin, actor, unit, stage, run, officer,
       late, detail
  FROM timeline
 WHERE origin IS NULL AND heard >= $1::text::xid8 AND heard < pg_snapshot_xmin(pg_current_snapshot())
 ORDER BY heard DESC, recorded DESC, dossier, version DESC LIMIT $2;

-- name: told_up_to
-- Below this transaction all that was heard can be seen.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- name: recorded_until
-- When the latest was recorded that is known here of live dossiers.
SELECT max(recorded) FROM timeline WHERE origin IS NULL;

-- name: history
-- Replayed dossiers and their steps, by the record that they come from; also those that were adopted meanwhile.
SELECT origin, count(*) FILTER (WHERE type = 'DossierReceived')::int AS dossiers,
       count(*) FILTER (WHERE type = 'StageStarted')::int AS steps,
       min(time) FILTER (WHERE type = 'StageStarted') AS first, max(time) FILTER (WHERE type = 'StageStarted') AS last
  FROM timeline WHERE origin IS NOT NULL AND type IN ('DossierReceived', 'StageStarted')
 GROUP BY origin ORDER BY origin;

-- name: units
-- The units, from the province down, as Vietnamese sort.
SELECT code, name, level FROM unit
 ORDER BY array_position(ARRAY['province', 'town', 'commune', 'replay'], level), name COLLATE "vi-x-icu", code;

-- name: dossier_by_code
-- The stream id of a live dossier by the whole of its printed code.   $1 code
SELECT dossier FROM dossier_now WHERE code = $1 AND origin IS NULL;

-- name: procedure_name
-- The name of a procedure.   $1 code
SELECT name FROM procedure WHERE code = $1;
