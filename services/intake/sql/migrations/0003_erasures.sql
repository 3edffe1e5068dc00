-- That a dossier's personal data were erased: by which event of its stream, and up to which version of its contact. The
-- same stands in the register of erasures, outside the database, so that a restored backup is put right (decision 0072).
CREATE TABLE erasure (
    dossier         text PRIMARY KEY,
    event           uuid NOT NULL,
    version         int NOT NULL,
    contact_version int NOT NULL,
    "time"          timestamptz NOT NULL,
    reason          text NOT NULL,
    actor           text
);
