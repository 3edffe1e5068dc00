-- What the catalogue says of a procedure besides its term: the route of routing's, the legs that are promised one by
-- one, the level of its online service (NULL: not known), and what an amount alone does not say of the fee.
ALTER TABLE procedure
    ADD COLUMN route        text,
    ADD COLUMN legs         jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN online_level smallint CHECK (online_level BETWEEN 1 AND 4),
    ADD COLUMN fee_note     text;

-- Copies of routing's routes, newest version: how long their stages take together (160ths of a calendar day).
CREATE TABLE route (
    code    text PRIMARY KEY,
    version int NOT NULL,
    length  int NOT NULL
);
