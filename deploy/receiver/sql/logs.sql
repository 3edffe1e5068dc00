-- name: logs_schema
-- Log events, by arrival.
CREATE TABLE IF NOT EXISTS line (
    id         INTEGER PRIMARY KEY,
    arrived    REAL NOT NULL,
    at         INTEGER NOT NULL,
    service    TEXT NOT NULL,
    severity   INTEGER NOT NULL,
    event      TEXT NOT NULL,
    trace      TEXT,
    span       TEXT,
    attributes TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS line_trace ON line (trace) WHERE trace IS NOT NULL;
CREATE INDEX IF NOT EXISTS line_severity ON line (severity, id);

-- name: add_line
-- One more.
INSERT INTO line (arrived, at, service, severity, event, trace, span, attributes)
VALUES (:arrived, :at, :service, :severity, :event, :trace, :span, :attributes);

-- name: lines_of
-- Those of a trace, in order.
SELECT at, service, severity, event, trace, span, attributes FROM line WHERE trace = :trace ORDER BY at, id LIMIT :count;

-- name: newest_lines
-- The newest from a severity on.
SELECT at, service, severity, event, trace, span, attributes FROM line WHERE severity >= :severity
 ORDER BY id DESC LIMIT :count;

-- name: oldest_lines
-- Those whose turn it is to go.
SELECT id, arrived FROM line ORDER BY id LIMIT :count;

-- name: forget_line
-- One that goes.
DELETE FROM line WHERE id = :id;

-- name: lines_held
-- How many there are, and since when.
SELECT count(*) AS count, min(arrived) AS oldest FROM line;
