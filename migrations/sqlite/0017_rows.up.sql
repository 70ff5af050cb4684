-- Decisions stand in the order in which they came, so that a batch is written at the end of its table and not all over it:
-- only the index of their ids, a sixth as long, is in random order.
CREATE TABLE rows (
    num            INTEGER PRIMARY KEY,
    id             BLOB    NOT NULL UNIQUE,
    experiment     INTEGER NOT NULL REFERENCES experiments (num),
    segment        INTEGER NOT NULL REFERENCES segments (num),
    arm            INTEGER NOT NULL,
    source         INTEGER NOT NULL,
    propensity     REAL    NOT NULL,
    version        INTEGER NOT NULL,
    revision       INTEGER NOT NULL,
    visitor        TEXT    NOT NULL,
    item           TEXT,
    at             INTEGER NOT NULL,
    -- What it has added to its row of outcomes.
    counted_trial  INTEGER NOT NULL DEFAULT 0,
    counted_reward INTEGER NOT NULL DEFAULT 0,
    counted_delay  INTEGER,
    features       TEXT,
    position       INTEGER,
    list           BLOB
);

INSERT INTO rows (id, experiment, segment, arm, source, propensity, version, revision, visitor, item, at, counted_trial,
    counted_reward, counted_delay, features, position, list)
SELECT id, experiment, segment, arm, source, propensity, version, revision, visitor, item, at, counted_trial,
    counted_reward, counted_delay, features, position, list
FROM decisions;

DROP TABLE decisions;
ALTER TABLE rows RENAME TO decisions;

CREATE INDEX decisions_by_moment ON decisions (experiment, at);
CREATE INDEX decisions_features ON decisions (experiment, at) WHERE features IS NOT NULL;

-- The decisions of each visitor; those of erased visitors are of none. Not an index, since rows of a batch are put into it in its
-- own order.
CREATE TABLE decisions_of_visitors (
    visitor TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    num     INTEGER NOT NULL,
    PRIMARY KEY (visitor, at, num)
) WITHOUT ROWID;

INSERT INTO decisions_of_visitors (visitor, at, num)
SELECT visitor, at, num FROM decisions WHERE visitor <> '' ORDER BY visitor, at, num;
