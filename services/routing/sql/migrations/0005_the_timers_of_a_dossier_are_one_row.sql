-- The next rung of each of a dossier's clocks, side by side: two rows with a composite key each were a fifth of what
-- PostgreSQL does for a dossier that comes in. Each clock still has at most one rung, of one generation.
ALTER TABLE timer RENAME TO timer_before;
ALTER TABLE timer_before RENAME CONSTRAINT timer_pkey TO timer_before_pkey;
CREATE TABLE timer (
    dossier            text PRIMARY KEY,
    stage_run          int,
    stage_rung         text,
    stage_generation   int,
    stage_at           timestamptz,
    dossier_rung       text,
    dossier_generation int,
    dossier_at         timestamptz,
    fires_at           timestamptz NOT NULL GENERATED ALWAYS AS (least(stage_at, dossier_at)) STORED,
    CHECK (stage_rung IN ('near', 'reached', 'passed', 'over')),
    CHECK (dossier_rung IN ('near', 'reached', 'passed')),
    CHECK (num_nulls(stage_run, stage_rung, stage_generation, stage_at) IN (0, 4)),
    CHECK (num_nulls(dossier_rung, dossier_generation, dossier_at) IN (0, 3))
);
INSERT INTO timer (dossier, stage_run, stage_rung, stage_generation, stage_at, dossier_rung, dossier_generation, dossier_at)
SELECT coalesce(stage.dossier, whole.dossier), stage.run, stage.rung, stage.generation, stage.fires_at,
       whole.rung, whole.generation, whole.fires_at
  FROM (SELECT * FROM timer_before WHERE scope = 'stage') AS stage
  FULL JOIN (SELECT * FROM timer_before WHERE scope = 'dossier') AS whole ON whole.dossier = stage.dossier;
DROP TABLE timer_before;
CREATE INDEX timer_fires_at ON timer (fires_at);
