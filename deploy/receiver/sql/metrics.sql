-- name: metrics_schema
-- Points by arrival, and of each series the newest.
CREATE TABLE IF NOT EXISTS point (
    id         INTEGER PRIMARY KEY,
    arrived    REAL NOT NULL,
    at         INTEGER NOT NULL,
    service    TEXT NOT NULL,
    name       TEXT NOT NULL,
    unit       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    attributes TEXT NOT NULL,
    value      REAL NOT NULL,
    count      INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS point_series ON point (name, service, at);
CREATE TABLE IF NOT EXISTS newest (
    service    TEXT NOT NULL,
    name       TEXT NOT NULL,
    attributes TEXT NOT NULL,
    at         INTEGER NOT NULL,
    unit       TEXT NOT NULL,
    kind       TEXT NOT NULL,
    value      REAL NOT NULL,
    count      INTEGER NOT NULL,
    PRIMARY KEY (service, name, attributes)
) WITHOUT ROWID;

-- name: add_point
-- One more.
INSERT INTO point (arrived, at, service, name, unit, kind, attributes, value, count)
VALUES (:arrived, :at, :service, :name, :unit, :kind, :attributes, :value, :count);

-- name: add_newest
-- The newest of its series.
INSERT INTO newest (service, name, attributes, at, unit, kind, value, count)
VALUES (:service, :name, :attributes, :at, :unit, :kind, :value, :count)
ON CONFLICT (service, name, attributes) DO UPDATE SET
    at = excluded.at, unit = excluded.unit, kind = excluded.kind, value = excluded.value, count = excluded.count
 WHERE excluded.at >= at;

-- name: newest_points
-- Of every series the newest.
SELECT service, name, attributes, at, unit, kind, value, count FROM newest ORDER BY service, name, attributes;

-- name: points_of
-- A figure's course since an instant.
SELECT service, name, attributes, at, unit, kind, value, count FROM point
 WHERE name = :name AND at >= :since ORDER BY at LIMIT :count;

-- name: oldest_points
-- Those whose turn it is to go.
SELECT id, arrived FROM point ORDER BY id LIMIT :count;

-- name: forget_point
-- One that goes.
DELETE FROM point WHERE id = :id;

-- name: forget_newest
-- Series of which nothing came any more: they are not the newest of anything.
DELETE FROM newest WHERE at < :before;

-- name: points_held
-- How many there are, and since when.
SELECT count(*) AS count, min(arrived) AS oldest FROM point;
