-- Whether the speaker, asked after the record was here, had never said this version: somebody else wrote it onto the
-- topic, or the speaker's store was restored. It does not count as there then, when tallies are compared.
ALTER TABLE parked ADD COLUMN never_said boolean NOT NULL DEFAULT false;
ALTER TABLE dead_letter ADD COLUMN never_said boolean NOT NULL DEFAULT false;
