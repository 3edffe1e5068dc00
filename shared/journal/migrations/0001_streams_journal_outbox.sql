-- A stream is everything that this service says about one subject. Its row is the subject's lock and its version.
CREATE TABLE stream (
    subject   text PRIMARY KEY,
    version   int NOT NULL DEFAULT 0,
    last_time timestamptz NOT NULL DEFAULT '1900-01-01T00:00:00Z'   -- business time of the latest entry: time never runs back
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

-- What was said, for as long as the dossier is kept. Column names follow Debezium's outbox event router, so that it can
-- take the relay's place.
CREATE TABLE journal (
    aggregateid        text NOT NULL,
    version            int NOT NULL CHECK (version > 0),
    id                 uuid NOT NULL,
    aggregatetype      text NOT NULL,                    -- the topic
    type               text NOT NULL,
    "timestamp"        timestamptz NOT NULL,             -- business time: when it happened
    recorded           timestamptz NOT NULL DEFAULT clock_timestamp(),
    cause_source       text,
    cause_version      int,
    origin             text,
    actor              text,
    tracingspancontext text,
    -- What commits can be sent: the largest body that a hearer takes is 1,000,000 bytes.
    payload            text NOT NULL CHECK (octet_length(payload) <= 1000000),
    PRIMARY KEY (aggregateid, version)
);

-- The latest state of a subject on a compacted topic; payload NULL is a tombstone.
CREATE TABLE snapshot (
    topic              text NOT NULL,
    aggregateid        text NOT NULL,
    version            int NOT NULL,
    tracingspancontext text,
    payload            text CHECK (octet_length(payload) <= 1000000),
    PRIMARY KEY (topic, aggregateid)
);

-- Pointers to what is not yet sent; deleted once sent. topic NULL: the speaker's own.
CREATE TABLE outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard       smallint NOT NULL,
    topic       text,
    aggregateid text NOT NULL,
    version     int NOT NULL,
    since       timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);

-- Answers of commands, by the id that the sender made; references only, no personal data.
CREATE TABLE command (
    scope    text NOT NULL,
    id       text NOT NULL,
    digest   bytea NOT NULL,
    answer   json NOT NULL,
    recorded timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (scope, id)
);
