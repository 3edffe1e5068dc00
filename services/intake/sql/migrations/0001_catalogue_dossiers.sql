CREATE EXTENSION IF NOT EXISTS unaccent;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- The catalogue, newest version of each procedure. "search" is what people type: without tone marks, in lower case.
CREATE TABLE procedure (
    code       text PRIMARY KEY,
    version    int NOT NULL,
    name       text NOT NULL,
    sector     text NOT NULL,
    level      text NOT NULL CHECK (level IN ('commune', 'town', 'province')),
    term       jsonb NOT NULL,
    terms      jsonb NOT NULL,               -- channel -> its own term
    fees       jsonb NOT NULL,               -- channel -> dong; a missing channel: unknown
    components int,
    result     text,
    source     text NOT NULL,
    search     text NOT NULL
);
CREATE INDEX procedure_search ON procedure USING gin (search gin_trgm_ops);

-- Copies of what routing owns, every version: a promise names the one that it used.
CREATE TABLE unit (
    code       text NOT NULL,
    version    int NOT NULL,
    name       text NOT NULL,
    level      text NOT NULL,
    calendar   text NOT NULL,
    valid_from date NOT NULL,
    valid_to   date,
    PRIMARY KEY (code, version)
);
CREATE TABLE calendar (
    code    text NOT NULL,
    version int NOT NULL,
    data    jsonb NOT NULL,
    PRIMARY KEY (code, version)
);

CREATE TABLE dossier (
    id                text PRIMARY KEY,
    code              text NOT NULL UNIQUE,   -- printed; Decree 61/2018 art. 26
    unit              text NOT NULL,
    procedure         text NOT NULL,
    procedure_version int NOT NULL,
    channel           text NOT NULL,
    received          timestamptz NOT NULL,
    promise           timestamptz NOT NULL,   -- as printed: it never changes
    calendar          text NOT NULL,
    calendar_version  int NOT NULL,
    components        text[] NOT NULL,
    origin            text,
    attributes        jsonb NOT NULL,
    -- what routing and notification said of it
    status            smallint NOT NULL,      -- of the national portal
    due               timestamptz NOT NULL,
    at_unit           text,
    at_stage          text,
    run               int NOT NULL DEFAULT 0,
    late              boolean NOT NULL DEFAULT false,
    supplements       int NOT NULL DEFAULT 0,
    requested         text,                   -- what was asked of routing and is not answered yet
    notices_sent      int NOT NULL DEFAULT 0,
    notices_failed    int NOT NULL DEFAULT 0,
    as_of             timestamptz NOT NULL
) WITH (fillfactor = 80);

-- The citizen's data: ciphertext under the dossier's own key. Destroying this row is erasure.
CREATE TABLE citizen (
    dossier         text PRIMARY KEY,
    wrapped_key     text NOT NULL,
    applicant       text NOT NULL,
    contact         text,
    contact_version int NOT NULL
);

-- The ordinal of the day at each desk; raised in the transaction that uses it, so that none is used twice or lost.
CREATE TABLE counter (
    unit text NOT NULL,
    day  date NOT NULL,
    last int NOT NULL,
    PRIMARY KEY (unit, day)
) WITH (fillfactor = 50);
