-- What a listener was told, in the order in which it was told; nothing keeps a double out.
CREATE TABLE told (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    source  text NOT NULL,
    version int NOT NULL,
    type    text NOT NULL,
    backend int NOT NULL DEFAULT pg_backend_pid()
);

-- A listener's state of a subject.
CREATE TABLE seat (
    subject text PRIMARY KEY,
    entries int NOT NULL
);
