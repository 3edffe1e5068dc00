-- Lists in their order, the most urgent first: a page is read from its index as far as it goes, instead of sorting all
-- that there is.
CREATE INDEX dossier_now_urgent ON dossier_now
    (ended DESC NULLS FIRST, coalesce(least(stage_due, coalesce(due, promise)), 'infinity'), dossier)
 WHERE origin IS NULL;

-- The same for each record that was brought in; finding a record by its name is what the old index was for.
CREATE INDEX dossier_now_origin_urgent ON dossier_now
    (origin, ended DESC NULLS FIRST, coalesce(least(stage_due, coalesce(due, promise)), 'infinity'), dossier)
 WHERE origin IS NOT NULL;
DROP INDEX dossier_now_origin;
