-- Names of arms that are the items of a catalog, so that a decision holds a number. Items come and go: the day (since 1970)
-- of the newest decision tells when the last one is forgotten.
CREATE TABLE candidate_arms (
    num        INTEGER PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiments (num),
    id         TEXT    NOT NULL,
    day        INTEGER NOT NULL,
    UNIQUE (experiment, id)
);
-- Of an item of a list: its place, from 0, and the list's name.
ALTER TABLE decisions ADD COLUMN position INTEGER;
ALTER TABLE decisions ADD COLUMN list BLOB;
