-- What is due is taken in this order, a few at a time: without the number, all that is due was sorted for each of them.
DROP INDEX notice_due;
CREATE INDEX notice_due ON notice (due_at, number) WHERE state IN ('waiting', 'sending');
