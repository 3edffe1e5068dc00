-- Units and calendars keep every version: a dossier in flight names the one that it was promised by.
CREATE TABLE unit (
    code       text NOT NULL,
    version    int NOT NULL,
    name       text NOT NULL,
    level      text NOT NULL CHECK (level IN ('commune', 'town', 'province', 'replay')),
    parent     text,
    calendar   text NOT NULL,
    valid_from date NOT NULL,
    valid_to   date,
    PRIMARY KEY (code, version)
);

CREATE TABLE unit_head (
    unit       text NOT NULL,
    officer    text NOT NULL,              -- pseudonymous
    valid_from date NOT NULL,
    valid_to   date,
    PRIMARY KEY (unit, valid_from)
);

CREATE TABLE calendar (
    code    text NOT NULL,
    version int NOT NULL,
    data    jsonb NOT NULL,
    PRIMARY KEY (code, version)
);

-- intake's catalogue, as far as routing needs it
CREATE TABLE procedure (
    code    text PRIMARY KEY,
    version int NOT NULL,
    level   text NOT NULL
);

-- A route is data: stages in order, each at the receiving unit or at its parent, with its share of the term.
CREATE TABLE route (
    code   text PRIMARY KEY,
    level  text NOT NULL UNIQUE,           -- of the procedures that take it
    stages jsonb NOT NULL
);
INSERT INTO route (code, level, stages) VALUES
    ('commune', 'commune', '[
        {"name": "commune_desk", "place": "receiving", "role": "desk", "share": 1},
        {"name": "commune_officer", "place": "receiving", "role": "officer", "share": 8},
        {"name": "commune_return", "place": "receiving", "role": "desk", "share": 1}]'),
    ('two_level', 'town', '[
        {"name": "commune_desk", "place": "receiving", "role": "desk", "share": 1},
        {"name": "commune_officer", "place": "receiving", "role": "officer", "share": 4},
        {"name": "town_desk", "place": "parent", "role": "desk", "share": 1},
        {"name": "town_specialist", "place": "parent", "role": "specialist", "share": 8},
        {"name": "town_return", "place": "parent", "role": "desk", "share": 1},
        {"name": "commune_return", "place": "receiving", "role": "desk", "share": 1}]');

-- A dossier's journey as it stands now: a projection of its ledger, rewritten at every step.
CREATE TABLE journey (
    dossier              text PRIMARY KEY,
    procedure            text NOT NULL,
    route                text NOT NULL,
    receiving_unit       text NOT NULL,
    calendar             text NOT NULL,
    calendar_version     int NOT NULL,
    origin               text,
    state                text NOT NULL CHECK (state IN ('moving', 'paused', 'done', 'withdrawn')),
    stage                text NOT NULL,
    stage_number         smallint NOT NULL,
    run                  int NOT NULL,
    unit                 text NOT NULL,
    role                 text,
    officer              text,
    received             timestamptz NOT NULL,
    promise              timestamptz NOT NULL,   -- as printed on the receipt; it never changes
    credit_seconds       bigint NOT NULL,
    due                  timestamptz NOT NULL,
    stage_started        timestamptz NOT NULL,
    stage_budget_minutes int NOT NULL,
    stage_credit_seconds bigint NOT NULL,
    stage_due            timestamptz NOT NULL,
    generation           int NOT NULL,
    paused_at            timestamptz,
    pause_reason         text,
    supplements          int NOT NULL,
    entries              int NOT NULL,
    last_at              timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX journey_worklist ON journey (unit, role) WHERE state IN ('moving', 'paused');

-- What happened to the clock, append-only: every due instant can be computed again from it.
CREATE TABLE ledger (
    dossier  text NOT NULL,
    number   int NOT NULL,
    kind     text NOT NULL
             CHECK (kind IN ('started', 'paused', 'resumed', 'extended', 'transferred', 'ended', 'finished', 'withdrawn')),
    run      int NOT NULL,
    at       timestamptz NOT NULL,
    stage    text,
    unit     text,
    officer  text,
    seconds  bigint,                            -- working time: a budget (started) or a credit (resumed)
    reason   text,
    recorded timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (dossier, number)
);

-- The next rung of each clock of a dossier. run 0 is the dossier's own clock.
CREATE TABLE timer (
    dossier    text NOT NULL,
    scope      text NOT NULL,
    run        int NOT NULL,
    rung       text NOT NULL CHECK (rung IN ('near', 'reached', 'passed')),
    generation int NOT NULL,
    fires_at   timestamptz NOT NULL,
    PRIMARY KEY (dossier, scope, run, rung, generation)
);
CREATE INDEX timer_fires_at ON timer (fires_at);
