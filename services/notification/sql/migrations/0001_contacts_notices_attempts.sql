-- What units and procedures are called, as far as it was heard.
CREATE TABLE unit (
    code    text PRIMARY KEY,
    version int NOT NULL,
    name    text NOT NULL
);

CREATE TABLE procedure (
    code    text PRIMARY KEY,
    version int NOT NULL,
    name    text NOT NULL
);

-- How a citizen can be reached, sealed under the dossier's own key. An erased contact keeps its version, so that an older
-- one that comes again is refused.
CREATE TABLE contact (
    dossier     text PRIMARY KEY,
    version     int NOT NULL CHECK (version > 0),
    erased      boolean NOT NULL,
    wrapped_key text,
    sealed      text,
    CHECK (erased = (wrapped_key IS NULL) AND erased = (sealed IS NULL))
);

-- What notices about a dossier need; written once.
CREATE TABLE dossier (
    id              text PRIMARY KEY,
    code            text NOT NULL,
    procedure       text NOT NULL,
    unit            text NOT NULL,
    promise         timestamptz NOT NULL,
    contact_version int NOT NULL,
    origin          text
);

-- What a citizen is told: at most one notice for each event and channel.
CREATE TABLE notice (
    id            text PRIMARY KEY,                        -- UUIDv7; the message's Message-ID is made of it
    number        bigint GENERATED ALWAYS AS IDENTITY,     -- drawn under the dossier's lock: the order of its notices
    dossier       text NOT NULL,
    source        text NOT NULL,                           -- the event that it is about: source and version
    version       int NOT NULL,
    template      text NOT NULL,
    channel       text NOT NULL CHECK (channel IN ('email')),
    parameters    jsonb NOT NULL,                          -- codes, names of units and procedures, dates
    -- unreachable: no contact was given (or it was erased); nothing was tried, and it is known that nobody was told
    state         text NOT NULL CHECK (state IN ('waiting', 'sending', 'sent', 'failed', 'unreachable')),
    reason        text,
    traceparent   text,
    written       timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts      int NOT NULL DEFAULT 0,
    claimed_until timestamptz CHECK ((claimed_until IS NOT NULL) = (state = 'sending')),
    closed        timestamptz CHECK ((closed IS NOT NULL) = (state IN ('sent', 'failed', 'unreachable'))),
    UNIQUE (source, dossier, version, channel)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX notice_due ON notice (due_at) WHERE state IN ('waiting', 'sending');
CREATE INDEX notice_unsent ON notice (dossier, number) WHERE state IN ('waiting', 'sending');
CREATE INDEX notice_failed ON notice (closed) WHERE state = 'failed';
CREATE INDEX notice_dossier ON notice (dossier, number);

-- Every try to send a notice. ended NULL: under way, or its process was killed.
CREATE TABLE attempt (
    id            text PRIMARY KEY,                        -- UUIDv7
    notice        text NOT NULL,
    number        int NOT NULL,
    started       timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended         timestamptz,
    outcome       text CHECK (outcome IN ('accepted', 'refused', 'postponed', 'unknown', 'unsendable')),
    provider_code int,                                     -- of SMTP; its text may quote the address and is not kept
    reason        text,
    UNIQUE (notice, number),
    CHECK ((ended IS NULL) = (outcome IS NULL))
) WITH (fillfactor = 80);
