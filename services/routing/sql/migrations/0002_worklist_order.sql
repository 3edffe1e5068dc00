-- A worklist is read page by page in the order of its urgency.
CREATE INDEX journey_worklist_order ON journey (unit, stage_due, dossier)
 WHERE state IN ('moving', 'paused') AND origin IS NULL;
DROP INDEX journey_worklist;
