-- Runs that are open together, while a route is forked; the journey's own columns show the lowest of them. Each with the
-- next rung of its own clock: what has one stage at a time keeps that in its one row of timers, and has no row here.
CREATE TABLE branch (
    dossier        text NOT NULL,
    run            int NOT NULL,
    stage          text NOT NULL,
    stage_number   smallint NOT NULL,
    unit           text NOT NULL,
    role           text,
    officer        text,
    started        timestamptz NOT NULL,
    budget_minutes int NOT NULL,
    credit_seconds bigint NOT NULL,
    due            timestamptz NOT NULL,
    rung           text CHECK (rung IN ('near', 'reached', 'passed')),
    generation     int,
    fires_at       timestamptz,
    PRIMARY KEY (dossier, run),
    CHECK (num_nulls(rung, generation, fires_at) IN (0, 3))
);
CREATE INDEX branch_worklist ON branch (unit, due, dossier, run);
CREATE INDEX branch_fires_at ON branch (fires_at);

-- The highest run that was given where it is not the one that the row shows: whatever has branches has it. Else 0.
ALTER TABLE journey ADD COLUMN last_run int NOT NULL DEFAULT 0;
