CREATE TABLE rows (
    id             BLOB    NOT NULL PRIMARY KEY,
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
    counted_trial  INTEGER NOT NULL DEFAULT 0,
    counted_reward INTEGER NOT NULL DEFAULT 0,
    counted_delay  INTEGER,
    features       TEXT,
    position       INTEGER,
    list           BLOB
) WITHOUT ROWID;

INSERT INTO rows (id, experiment, segment, arm, source, propensity, version, revision, visitor, item, at, counted_trial,
    counted_reward, counted_delay, features, position, list)
SELECT id, experiment, segment, arm, source, propensity, version, revision, visitor, item, at, counted_trial,
    counted_reward, counted_delay, features, position, list
FROM decisions ORDER BY id;

DROP TABLE decisions_of_visitors;
DROP TABLE decisions;
ALTER TABLE rows RENAME TO decisions;

CREATE INDEX decisions_by_moment ON decisions (experiment, at);
CREATE INDEX decisions_features ON decisions (experiment, at) WHERE features IS NOT NULL;
CREATE INDEX decisions_by_visitor ON decisions (visitor, at);
