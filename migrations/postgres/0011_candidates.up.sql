-- Names of arms that are the items of a catalog, so that a decision holds a number. Items come and go: the day (since 1970)
-- of the newest decision tells when the last one is forgotten.
CREATE TABLE candidate_arms (
    num        INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    experiment BIGINT  NOT NULL REFERENCES experiments (num),
    id         TEXT    NOT NULL,
    day        INTEGER NOT NULL,
    UNIQUE (experiment, id)
);
-- Of an item of a list: its place, from 0, and the list's name.
ALTER TABLE decisions ADD COLUMN position SMALLINT;
ALTER TABLE decisions ADD COLUMN list BYTEA;
-- Items are more than a smallint counts. This rewrites both tables once: of a hundred million decisions that takes minutes,
-- in which the log waits.
ALTER TABLE decisions ALTER COLUMN arm TYPE INTEGER;
ALTER TABLE outcomes ALTER COLUMN arm TYPE INTEGER;
