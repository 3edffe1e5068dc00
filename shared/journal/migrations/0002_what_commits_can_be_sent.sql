-- What commits can be sent, and what is sent can be heard: headers have limits, too (`shared.envelope`).
ALTER TABLE journal ADD CONSTRAINT journal_headers_fit CHECK (
    char_length(aggregateid) BETWEEN 1 AND 200
    AND (origin IS NULL OR char_length(origin) BETWEEN 1 AND 200)
    AND (actor IS NULL OR char_length(actor) BETWEEN 1 AND 200)
);
