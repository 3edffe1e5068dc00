-- name: traces_schema
-- A trace goes as a whole when its turn comes: the one that arrived first, first.
CREATE TABLE IF NOT EXISTS trace (
    id      TEXT PRIMARY KEY,
    arrived REAL NOT NULL,
    began   INTEGER NOT NULL,
    ended   INTEGER NOT NULL,
    name    TEXT,
    service TEXT,
    stream  TEXT,
    failed  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS trace_arrived ON trace (arrived);
CREATE INDEX IF NOT EXISTS trace_began ON trace (began);
CREATE TABLE IF NOT EXISTS span (
    trace      TEXT NOT NULL,
    id         TEXT NOT NULL,
    parent     TEXT,
    name       TEXT NOT NULL,
    service    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    began      INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    error      TEXT,
    attributes TEXT NOT NULL,
    links      TEXT NOT NULL,
    PRIMARY KEY (trace, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stream (
    id    TEXT NOT NULL,
    trace TEXT NOT NULL,
    PRIMARY KEY (id, trace)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stream_trace ON stream (trace);

-- name: add_span
-- A span that is there already stays as it is: exporters send again what they got no answer to.
INSERT OR IGNORE INTO span (trace, id, parent, name, service, kind, began, ended, error, attributes, links)
VALUES (:trace, :id, :parent, :name, :service, :kind, :began, :ended, :error, :attributes, :links);

-- name: add_trace
-- What is known of a trace from one of its spans; name and service are those of the span without a parent.
INSERT INTO trace (id, arrived, began, ended, name, service, stream, failed)
VALUES (:trace, :arrived, :began, :ended, :root, :root_service, :stream, :error IS NOT NULL)
ON CONFLICT (id) DO UPDATE SET
    began = min(began, excluded.began), ended = max(ended, excluded.ended), name = coalesce(name, excluded.name),
    service = coalesce(service, excluded.service), stream = coalesce(stream, excluded.stream),
    failed = max(failed, excluded.failed);

-- name: add_stream
-- That a trace is about a stream.
INSERT OR IGNORE INTO stream (id, trace) VALUES (:stream, :trace);

-- name: traces_of
-- The newest traces of a stream; reads (GET) only when they are asked for.
SELECT trace.id FROM stream JOIN trace ON trace.id = stream.trace
 WHERE stream.id = :stream AND (:reads OR trace.name IS NULL OR trace.name NOT LIKE 'GET %')
 ORDER BY trace.began DESC LIMIT :count;

-- name: reads_of
-- How many traces of a stream were only looks at it.
SELECT count(*) FROM stream JOIN trace ON trace.id = stream.trace
 WHERE stream.id = :stream AND trace.name LIKE 'GET %';

-- name: spans_of
-- The spans of a trace.
SELECT trace, id, parent, name, service, kind, began, ended, error, attributes, links
  FROM span WHERE trace = :trace ORDER BY began, ended DESC;

-- name: recent
-- Traces of commands that began after an instant, newest first.
SELECT id, began, ended, name, service, stream, failed, (SELECT count(*) FROM span WHERE span.trace = trace.id) AS spans
  FROM trace WHERE began >= :since AND stream IS NOT NULL AND name NOT LIKE 'GET %'
 ORDER BY began DESC LIMIT :count;

-- name: slowest
-- Traces of commands that began after an instant, those first whose last effect was longest in coming.
SELECT id, began, ended, name, service, stream, failed, (SELECT count(*) FROM span WHERE span.trace = trace.id) AS spans
  FROM trace WHERE began >= :since AND stream IS NOT NULL AND name NOT LIKE 'GET %'
 ORDER BY ended - began DESC, id LIMIT :count;

-- name: oldest_traces
-- Those whose turn it is to go, by arrival.
SELECT id, arrived FROM trace ORDER BY arrived LIMIT :count;

-- name: forget_spans
-- The spans of a trace that goes.
DELETE FROM span WHERE trace = :id;

-- name: forget_streams
-- That a trace that goes was about streams.
DELETE FROM stream WHERE trace = :id;

-- name: forget_trace
-- A trace that goes.
DELETE FROM trace WHERE id = :id;

-- name: traces_held
-- How many there are, and since when.
SELECT count(*) AS count, min(arrived) AS oldest FROM trace;
