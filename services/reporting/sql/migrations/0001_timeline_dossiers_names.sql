-- What is called what: copies of intake's and routing's own tables, the highest version wins.
CREATE TABLE procedure (
    code    text PRIMARY KEY,
    version int NOT NULL,
    name    text NOT NULL,
    sector  text NOT NULL,
    level   text NOT NULL
);

CREATE TABLE unit (
    code     text PRIMARY KEY,
    version  int NOT NULL,
    name     text NOT NULL,
    level    text NOT NULL,
    parent   text,
    calendar text NOT NULL
);

CREATE TABLE calendar (
    code    text PRIMARY KEY,
    version int NOT NULL,
    zone    text NOT NULL                   -- whose midnight parts one day's figures from the next
);

-- Everything that was ever heard of a dossier, append-only. A step is a row of type StageStarted.
CREATE TABLE timeline (
    dossier  text NOT NULL,
    source   text NOT NULL,
    version  int NOT NULL,
    type     text NOT NULL,
    time     timestamptz NOT NULL,          -- when it happened
    recorded timestamptz NOT NULL,          -- when the speaker's database had it
    origin   text,                          -- of replayed history; NULL: it happened here
    actor    text,                          -- pseudonymous, like officer
    unit     text,                          -- who acted or was to act: of a hand-over the giver, whose lateness it is
    stage    text,
    run      int,
    officer  text,
    late     boolean,                       -- NULL: the event does not speak of it
    detail   jsonb NOT NULL,                -- the event's own fields
    PRIMARY KEY (dossier, source, version)
);
CREATE INDEX timeline_recorded ON timeline (recorded) WHERE origin IS NULL;

-- The picture of now: one row for each dossier. Any event makes it, so every fact may still be missing: routing's events
-- of a replayed dossier name no cause and may be heard before the reception. A column belongs to one source alone
-- (except those at the end, which are made of the others), so that the order between sources cannot change the outcome.
CREATE TABLE dossier_now (
    dossier              text PRIMARY KEY,
    origin               text,
    as_of                timestamptz NOT NULL,  -- recorded time of the latest that was heard
    -- intake's
    code                 text,
    procedure            text,
    receiving_unit       text,
    channel              text,
    calendar             text,
    received             timestamptz,
    promise              timestamptz,
    withdrawal_requested timestamptz,
    handed_over          timestamptz,
    -- routing's
    phase                smallint,          -- the status as far as routing decides it
    stage                text,
    run                  int,
    unit                 text,
    officer              text,
    stage_due            timestamptz,
    due                  timestamptz,       -- the promise, moved by the credited pauses
    generation           int NOT NULL,
    supplements          int NOT NULL,
    closed               timestamptz,       -- when routing was done with it, either way
    stage_near           boolean NOT NULL,
    stage_late           boolean NOT NULL,
    dossier_near         boolean NOT NULL,
    dossier_late         boolean NOT NULL,
    -- notification's
    notices_sent         int NOT NULL,
    notices_failed       int NOT NULL,
    -- made of the others
    status               smallint NOT NULL CHECK (status IN (2, 4, 5, 6, 7, 9, 10)),  -- the national portal's code
    standing             text NOT NULL
                         CHECK (standing IN ('on_time', 'near', 'late', 'paused', 'done', 'withdrawn')),
    ended                timestamptz
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX dossier_now_code ON dossier_now (code);
CREATE INDEX dossier_now_open ON dossier_now ((coalesce(unit, receiving_unit)))
 WHERE origin IS NULL AND standing IN ('on_time', 'near', 'late', 'paused');
CREATE INDEX dossier_now_ended ON dossier_now (ended) WHERE origin IS NULL AND ended IS NOT NULL;
CREATE INDEX dossier_now_origin ON dossier_now (origin) WHERE origin IS NOT NULL;

-- Every live dossier as it stood at the end of a day (of its own office), by what was recorded up to an instant: from the
-- timeline alone, so that yesterday's figures can be had again, and today's compared with dossier_now.
CREATE FUNCTION standing_on(day date, known_on timestamptz)
RETURNS TABLE (
    dossier text, zone text, channel text, received timestamptz, unit text, stage text, status smallint, standing text,
    promise timestamptz, due timestamptz, ended timestamptz, dossier_late boolean)
LANGUAGE sql STABLE AS $$
WITH reception AS (
    SELECT said.dossier, said.time AS received, said.unit, said.detail->>'channel' AS channel,
           (said.detail->>'promise')::timestamptz AS promise, coalesce(calendar.zone, 'Asia/Ho_Chi_Minh') AS zone
      FROM timeline AS said LEFT JOIN calendar ON calendar.code = said.detail->>'calendar'
     WHERE said.type = 'DossierReceived' AND said.origin IS NULL AND said.recorded <= known_on
), known AS (
    SELECT said.dossier, said.version, said.type, said.time, said.detail, said.late,
           coalesce(reception.zone, 'Asia/Ho_Chi_Minh') AS zone
      FROM timeline AS said LEFT JOIN reception ON reception.dossier = said.dossier
     WHERE said.origin IS NULL AND said.recorded <= known_on
       AND (said.time AT TIME ZONE coalesce(reception.zone, 'Asia/Ho_Chi_Minh'))::date <= day
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
