-- Routes keep every version: a dossier in flight goes on by the one that it began with.
ALTER TABLE route ADD COLUMN version int NOT NULL DEFAULT 1;
ALTER TABLE route DROP CONSTRAINT route_pkey;
ALTER TABLE route ADD PRIMARY KEY (code, version);
ALTER TABLE route DROP CONSTRAINT route_level_key;
ALTER TABLE route ALTER COLUMN level DROP NOT NULL;
ALTER TABLE journey ADD COLUMN route_version int NOT NULL DEFAULT 1;

-- What a procedure says of its route, and the length of its shortest term (160ths of a calendar day); NULL: heard
-- before either was kept.
ALTER TABLE procedure ADD COLUMN route text, ADD COLUMN length int;

-- A public posting ends by itself.
ALTER TABLE timer DROP CONSTRAINT timer_rung_check;
ALTER TABLE timer ADD CHECK (rung IN ('near', 'reached', 'passed', 'over'));
