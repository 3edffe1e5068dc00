-- A record can become live, and a year of records can be reported on by itself.
DROP FUNCTION standing_on(date, timestamptz);

-- Every dossier as it stood at the end of a day (of its own office), by what was recorded up to an instant: from the
-- timeline alone, so that yesterday's figures can be had again, and today's compared with dossier_now. Without of_origin
-- the live ones: all of whom something is known that happened here, so also a record from the day of its adoption on
-- (that is said without an origin). With it all that this record brought, adopted or not.
CREATE FUNCTION standing_on(day date, known_on timestamptz, of_origin text)
RETURNS TABLE (
    dossier text, zone text, channel text, received timestamptz, unit text, stage text, status smallint, standing text,
    promise timestamptz, due timestamptz, ended timestamptz, dossier_late boolean)
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
), stood AS (
    SELECT mark.dossier, mark.zone, reception.channel, reception.received, reception.promise, mark.handed_over,
           CASE placed.type WHEN 'HandedOver' THEN placed.detail->>'receiver' ELSE coalesce(placed.unit, reception.unit) END AS unit,
           started.stage,
           CASE WHEN mark.handed_over IS NOT NULL THEN 10
                ELSE CASE phase.type WHEN 'SupplementRequested' THEN 5 WHEN 'FeeRequested' THEN 6
                                     WHEN 'DossierWithdrawn' THEN 7 WHEN 'ResultReady' THEN 9
                                     WHEN 'StageStarted' THEN 4 WHEN 'DossierResumed' THEN 4 ELSE 2 END
            END::smallint AS status,
           CASE WHEN phase.type IN ('ResultReady', 'DossierWithdrawn') THEN phase.time END AS phase_ended,
           coalesce((dated.detail->>'due')::timestamptz, reception.promise) AS due,
           CASE judged.type WHEN 'DeadlinePassed' THEN true WHEN 'ResultReady' THEN judged.late ELSE false END AS dossier_late,
           coalesce(mark.stage_near > mark.started, false) AS stage_near,
           coalesce(mark.stage_late > mark.clocked, false) AS stage_late,
           mark.dossier_near
      FROM mark
      LEFT JOIN reception ON reception.dossier = mark.dossier AND mark.is_received
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
       promise, due, coalesce(phase_ended, handed_over), dossier_late
  FROM stood
$$;

-- What each record brought is counted for every look at the picture of now.
CREATE INDEX timeline_brought ON timeline (origin, type, time)
 WHERE origin IS NOT NULL AND type IN ('DossierReceived', 'StageStarted');
