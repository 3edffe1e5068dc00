-- The last version heard of each stream. It replaces an inbox table that would grow for ever: order is in the data.
CREATE TABLE heard (
    subject  text NOT NULL,
    source   text NOT NULL,
    version  int NOT NULL DEFAULT 0,
    event_id uuid,                       -- of that version: the same version with another id is a fork
    parked   int NOT NULL DEFAULT 0,     -- how many later events of the stream wait in `parked`
    PRIMARY KEY (subject, source)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05);

-- Events that came too early: behind a gap, before their cause, before what they name is known here, or in words of a
-- newer release. waits_for is NULL behind a gap (the missing version wakes it), else what will wake it.
CREATE TABLE parked (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    partition   int NOT NULL,
    "offset"    bigint NOT NULL,
    digest      bytea NOT NULL,
    subject     text NOT NULL,
    source      text NOT NULL,
    version     int NOT NULL,
    reason      text NOT NULL,
    waits_for   text,
    key         bytea,
    headers     text NOT NULL,
    body        bytea,
    parked      timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Offsets are reused after a topic was made anew: the content belongs to the identity.
    UNIQUE (topic, partition, "offset", digest)
);
CREATE INDEX parked_stream ON parked (subject, source, version);
CREATE INDEX parked_waits_for ON parked (waits_for) WHERE waits_for IS NOT NULL;

-- What cannot be heard, until an operator decides. subject, source and version are NULL where the headers were unreadable;
-- otherwise the version is held: later ones of the stream park behind it.
CREATE TABLE dead_letter (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    partition   int NOT NULL,
    "offset"    bigint NOT NULL,
    digest      bytea NOT NULL,
    subject     text,
    source      text,
    version     int,
    type        text,
    reason      text NOT NULL,
    key         bytea,
    headers     text NOT NULL,
    body        bytea,
    died        timestamptz NOT NULL DEFAULT clock_timestamp(),
    fate        text CHECK (fate IN ('redriven', 'voided', 'superseded', 'dismissed')),
    fated       timestamptz,
    fated_by    text,
    fate_reason text,
    UNIQUE (topic, partition, "offset", digest)
);
CREATE INDEX dead_letter_open ON dead_letter (subject, source, version) WHERE fate IS NULL;
