-- A dossier whose route forks lies in several places at once.

-- The runs that are open together, in the order of their numbers; NULL: there is one, that of the columns before. While
-- there are several, those columns are the first one's, save stage_near and stage_late, which hold when any is so.
ALTER TABLE dossier_now ADD COLUMN runs jsonb;

-- In which figures a part counts: a dossier in one place in all; one in several once in the total, once at each unit, and
-- once at each place (unit and stage). So what is told of a place is true of it, and the total counts every dossier once.
ALTER TABLE cell ADD COLUMN counts text NOT NULL DEFAULT 'all' CHECK (counts IN ('all', 'total', 'unit', 'place'));

-- How something stands that stands differently in parts.
CREATE FUNCTION worst_of(standings text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
SELECT one FROM unnest(standings) AS one
 ORDER BY array_position(ARRAY['late', 'paused', 'near', 'on_time'], one) LIMIT 1
$$;

-- The places of what lies in several, each as it stands by its own clock and the dossier's.
CREATE VIEW place AS
SELECT now.dossier, now.origin, now.status, now.dossier_late, run.run, run.unit, run.stage,
       CASE WHEN run.late OR now.dossier_late THEN 'late' WHEN now.status IN (5, 6) THEN 'paused'
            WHEN run.near OR now.dossier_near THEN 'near' ELSE 'on_time' END AS standing
  FROM dossier_now AS now
 CROSS JOIN LATERAL jsonb_to_recordset(now.runs) AS run (run int, unit text, stage text, near boolean, late boolean)
 WHERE now.runs IS NOT NULL AND now.ended IS NULL;

-- The open runs of every dossier that was ever in several places, as standing_on has it, from the timeline alone. A run
-- is over once a later stage begins, or a branch ends, without naming it among those that are beside.
CREATE FUNCTION runs_on(day date, known_on timestamptz)
RETURNS TABLE (dossier text, run int, unit text, stage text, near boolean, late boolean)
LANGUAGE sql STABLE AS $$
WITH forked AS (
    SELECT DISTINCT one.dossier FROM timeline AS one WHERE one.type = 'StageStarted' AND one.detail ? 'beside'
), until AS (
    SELECT said.dossier, said.version, said.type, said.run, said.unit, said.stage, said.detail
      FROM forked JOIN timeline AS said ON said.dossier = forked.dossier AND said.source = 'routing'
      LEFT JOIN timeline AS reception ON reception.dossier = forked.dossier AND reception.type = 'DossierReceived'
                                     AND reception.recorded <= known_on
      LEFT JOIN calendar ON calendar.code = reception.detail->>'calendar'
     WHERE said.recorded <= known_on
       AND (said.time AT TIME ZONE coalesce(calendar.zone, 'Asia/Ho_Chi_Minh'))::date <= day
), resumed AS (
    SELECT until.dossier, max(until.version) AS version FROM until WHERE until.type = 'DossierResumed' GROUP BY 1
), deadline AS (
    SELECT until.dossier, until.run, max(until.version) AS near,
           max(until.version) FILTER (WHERE until.type = 'DeadlinePassed') AS late
      FROM until
     WHERE until.type IN ('DeadlineNear', 'DeadlineReached', 'DeadlinePassed') AND until.detail->>'scope' = 'stage'
     GROUP BY 1, 2
)
SELECT begun.dossier, begun.run, begun.unit, begun.stage, coalesce(deadline.near > begun.version, false),
       coalesce(deadline.late > greatest(begun.version, resumed.version), false)
  FROM until AS begun
  LEFT JOIN deadline ON deadline.dossier = begun.dossier AND deadline.run = begun.run
  LEFT JOIN resumed ON resumed.dossier = begun.dossier
 WHERE begun.type = 'StageStarted'
   AND NOT EXISTS (
       SELECT FROM until AS later
        WHERE later.dossier = begun.dossier AND later.version > begun.version
          AND (later.type = 'StageStarted' OR (later.type = 'HandedOver' AND later.detail ? 'beside'))
          AND NOT coalesce(later.detail->'beside' @> to_jsonb(begun.run), false))
$$;

-- As before; of what was ever in several places the open runs tell where it is and how it stands.
DROP FUNCTION standing_on(date, timestamptz, text);
CREATE FUNCTION standing_on(day date, known_on timestamptz, of_origin text)
RETURNS TABLE (
    dossier text, zone text, channel text, received timestamptz, unit text, stage text, status smallint, standing text,
    promise timestamptz, due timestamptz, ended timestamptz, dossier_late boolean,
    dossier_near boolean, several boolean)
LANGUAGE sql STABLE AS $$
WITH reception AS (
    SELECT said.dossier, said.time AS received, said.unit, said.detail->>'channel' AS channel,
           (said.detail->>'promise')::timestamptz AS promise, coalesce(calendar.zone, 'Asia/Ho_Chi_Minh') AS zone
      FROM timeline AS said LEFT JOIN calendar ON calendar.code = said.detail->>'calendar'
     WHERE said.type = 'DossierReceived' AND said.recorded <= known_on
), until AS (
    SELECT said.dossier, said.version, said.type, said.time, said.detail, said.late, said.origin,
           coalesce(reception.zone, 'Asia/Ho_Chi_Minh') AS zone
      FROM timeline AS said LEFT JOIN reception ON reception.dossier = said.dossier
     WHERE said.recorded <= known_on
       AND said.dossier IN (SELECT one.dossier FROM timeline AS one
                             WHERE (of_origin IS NULL AND one.origin IS NULL) OR one.origin = of_origin)
       AND (said.time AT TIME ZONE coalesce(reception.zone, 'Asia/Ho_Chi_Minh'))::date <= day
), known AS (
    SELECT * FROM until
     WHERE until.dossier IN (SELECT one.dossier FROM until AS one WHERE one.origin IS NOT DISTINCT FROM of_origin)
), mark AS (
    -- of each dossier the versions of routing's events that decide
    SELECT known.dossier, known.zone,
           bool_or(type = 'DossierReceived') AS is_received,
           max(time) FILTER (WHERE type = 'ResultHandedOver') AS handed_over,
           max(version) FILTER (WHERE type = 'StageStarted') AS started,
           max(version) FILTER (WHERE type IN ('StageStarted', 'DossierResumed')) AS clocked,
           max(version) FILTER (WHERE type IN ('StageStarted', 'SupplementRequested', 'FeeRequested', 'DossierResumed',
                                               'ResultReady', 'DossierWithdrawn')) AS phase,
           max(version) FILTER (WHERE type IN ('StageStarted', 'HandedOver', 'ResultReady')) AS placed,
           max(version) FILTER (WHERE type IN ('StageStarted', 'DossierResumed', 'ResultReady')
                                  AND detail ? 'due') AS dated,
           max(version) FILTER (WHERE type IN ('DossierResumed', 'ResultReady')
                                   OR (type = 'DeadlinePassed' AND detail->>'scope' = 'dossier')) AS judged,
           max(version) FILTER (WHERE type IN ('DeadlineNear', 'DeadlineReached', 'DeadlinePassed')
                                  AND detail->>'scope' = 'stage') AS stage_near,
           max(version) FILTER (WHERE type = 'DeadlinePassed' AND detail->>'scope' = 'stage') AS stage_late,
           coalesce(bool_or(type IN ('DeadlineNear', 'DeadlineReached', 'DeadlinePassed')
                            AND detail->>'scope' = 'dossier'), false) AS dossier_near
      FROM known GROUP BY known.dossier, known.zone
), open AS (
    SELECT run.dossier, count(*) > 1 AS several, bool_or(run.near) AS near, bool_or(run.late) AS late,
           (array_agg(run.unit ORDER BY run.run))[1] AS unit, (array_agg(run.stage ORDER BY run.run))[1] AS stage
      FROM runs_on(day, known_on) AS run GROUP BY run.dossier
), stood AS (
    SELECT mark.dossier, mark.zone, reception.channel, reception.received, reception.promise, mark.handed_over,
           CASE WHEN placed.type = 'HandedOver' AND NOT placed.detail ? 'beside' THEN placed.detail->>'receiver'
                WHEN open.dossier IS NOT NULL AND placed.type <> 'ResultReady' THEN open.unit
                ELSE coalesce(placed.unit, reception.unit) END AS unit,
           coalesce(open.stage, started.stage) AS stage,
           CASE WHEN mark.handed_over IS NOT NULL THEN 10
                ELSE CASE phase.type WHEN 'SupplementRequested' THEN 5 WHEN 'FeeRequested' THEN 6
                                     WHEN 'DossierWithdrawn' THEN 7 WHEN 'ResultReady' THEN 9
                                     WHEN 'StageStarted' THEN 4 WHEN 'DossierResumed' THEN 4 ELSE 2 END
            END::smallint AS status,
           CASE WHEN phase.type IN ('ResultReady', 'DossierWithdrawn') THEN phase.time END AS phase_ended,
           coalesce((dated.detail->>'due')::timestamptz, reception.promise) AS due,
           CASE judged.type WHEN 'DeadlinePassed' THEN true WHEN 'ResultReady' THEN judged.late ELSE false END AS dossier_late,
           coalesce(open.near, mark.stage_near > mark.started, false) AS stage_near,
           coalesce(open.late, mark.stage_late > mark.clocked, false) AS stage_late,
           mark.dossier_near, coalesce(open.several, false) AS several
      FROM mark
      LEFT JOIN reception ON reception.dossier = mark.dossier AND mark.is_received
      LEFT JOIN open ON open.dossier = mark.dossier
      LEFT JOIN timeline AS started
             ON started.dossier = mark.dossier AND started.source = 'routing' AND started.version = mark.started
      LEFT JOIN timeline AS phase
             ON phase.dossier = mark.dossier AND phase.source = 'routing' AND phase.version = mark.phase
      LEFT JOIN timeline AS placed
             ON placed.dossier = mark.dossier AND placed.source = 'routing' AND placed.version = mark.placed
      LEFT JOIN timeline AS dated
             ON dated.dossier = mark.dossier AND dated.source = 'routing' AND dated.version = mark.dated
      LEFT JOIN timeline AS judged
             ON judged.dossier = mark.dossier AND judged.source = 'routing' AND judged.version = mark.judged
)
SELECT dossier, zone, channel, received, unit, stage, status,
       CASE WHEN status IN (9, 10) THEN 'done'
            WHEN status = 7 THEN 'withdrawn'
            WHEN stage_late OR dossier_late THEN 'late'
            WHEN status IN (5, 6) THEN 'paused'
            WHEN stage_near OR dossier_near THEN 'near'
            ELSE 'on_time' END,
       promise, due, coalesce(phase_ended, handed_over), dossier_late, dossier_near, several
  FROM stood
$$;
