-- Where a dossier lies that lies in several places at once, as [run, unit, stage] of each; NULL: in one, which the row
-- names. While there are several, the row names the first of them.
ALTER TABLE dossier ADD COLUMN places jsonb;
