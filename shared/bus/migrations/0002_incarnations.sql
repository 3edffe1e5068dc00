-- Which incarnation of a topic each partition was last heard of: a topic that was deleted and made anew has another id,
-- and a position in the old one says nothing about it.
CREATE TABLE incarnation (
    topic     text NOT NULL,
    partition int NOT NULL,
    topic_id  uuid NOT NULL,
    PRIMARY KEY (topic, partition)
);
