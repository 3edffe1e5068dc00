-- Officers keep every version: who might act on a day is answered by the versions that there were. Ids are pseudonyms.
CREATE TABLE officer (
    id         text NOT NULL,
    version    int NOT NULL,
    unit       text NOT NULL,
    roles      text[] NOT NULL,
    sectors    text[] NOT NULL,             -- none: every one
    valid_from date NOT NULL,
    valid_to   date,
    recorded   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (id, version)
);
CREATE INDEX officer_unit ON officer (unit);

-- A head ends when the next one begins.
UPDATE unit_head SET valid_to = next.starts - 1
  FROM (SELECT unit, valid_from, lead(valid_from) OVER (PARTITION BY unit ORDER BY valid_from) AS starts
          FROM unit_head) AS next
 WHERE unit_head.unit = next.unit AND unit_head.valid_from = next.valid_from AND next.starts IS NOT NULL;
