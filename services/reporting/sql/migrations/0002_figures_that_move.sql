-- The picture of now as parts that add up: each batch appends what it changed, a loop merges parts of the same cell. No
-- two lanes ever wait for each other over a counter, and the figures cost the same at a hundred dossiers and at a million.
CREATE TABLE cell (
    unit         text,
    stage        text,              -- NULL for what is no longer on its way
    status       smallint NOT NULL,
    standing     text NOT NULL,
    dossier_late boolean NOT NULL,
    count        int NOT NULL       -- may be negative: a part, not a figure
);
INSERT INTO cell
SELECT coalesce(unit, receiving_unit), CASE WHEN ended IS NULL THEN stage END, status, standing, dossier_late, count(*)
  FROM dossier_now WHERE origin IS NULL
 GROUP BY 1, 2, 3, 4, 5;

-- How many events each speaker recorded in a minute, in parts of the same kind; kept for some hours.
CREATE TABLE pace (
    minute timestamptz NOT NULL,
    source text NOT NULL,
    count  int NOT NULL
);

-- By which transaction an entry was heard: what lies below the oldest transaction that still runs is complete, so that a
-- page which was told up to there misses nothing (a sequence would show holes that fill later). NULL: heard before this.
ALTER TABLE timeline ADD COLUMN heard xid8;
ALTER TABLE timeline ALTER COLUMN heard SET DEFAULT pg_current_xact_id();
CREATE INDEX timeline_heard ON timeline (heard) WHERE origin IS NULL;

-- What came in on a day, for the last month's chart.
CREATE INDEX dossier_now_received ON dossier_now (received) WHERE origin IS NULL;
