-- Moments are milliseconds since 1970, hours are hours since 1970, enums are their names or, in the large
-- tables, small numbers written down beside the code that maps them.

CREATE TABLE experiments (
    num        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    definition TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    winner     TEXT,
    revision   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    started_at INTEGER,
    stopped_at INTEGER,
    deleted_at INTEGER
);

CREATE TABLE audit (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    who        TEXT    NOT NULL,
    why        TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    experiment TEXT    NOT NULL,
    document   TEXT    NOT NULL
);
CREATE INDEX audit_by_experiment ON audit (experiment, id);

-- Names of segments, so that a decision holds a number.
CREATE TABLE segments (
    num        INTEGER PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiments (num),
    segment    TEXT    NOT NULL,
    UNIQUE (experiment, segment)
);

CREATE TABLE decisions (
    id         BLOB    NOT NULL PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiments (num),
    segment    INTEGER NOT NULL REFERENCES segments (num),
    arm        INTEGER NOT NULL,
    source     INTEGER NOT NULL,
    propensity REAL    NOT NULL,
    version    INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    visitor    TEXT    NOT NULL,
    item       TEXT,
    at         INTEGER NOT NULL,
    -- What it has added to its row of outcomes.
    counted_trial  INTEGER NOT NULL DEFAULT 0,
    counted_reward INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE events (
    key        BLOB    NOT NULL PRIMARY KEY,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    visitor    TEXT,
    item       TEXT,
    -- The only experiment it is for, if it names one.
    experiment TEXT,
    value      REAL    NOT NULL,
    at         INTEGER NOT NULL
) WITHOUT ROWID;

-- Which decisions an event may belong to; the decision may arrive later than the event.
CREATE TABLE claims (
    decision BLOB NOT NULL,
    event    BLOB NOT NULL,
    PRIMARY KEY (decision, event)
) WITHOUT ROWID;

CREATE TABLE outcomes (
    experiment INTEGER NOT NULL REFERENCES experiments (num),
    hour       INTEGER NOT NULL,
    segment    INTEGER NOT NULL REFERENCES segments (num),
    arm        INTEGER NOT NULL,
    holdout    INTEGER NOT NULL,
    trials     INTEGER NOT NULL,
    rewards    INTEGER NOT NULL,
    PRIMARY KEY (experiment, hour, segment, arm, holdout)
) WITHOUT ROWID;

CREATE TABLE dead_letters (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    body   TEXT    NOT NULL,
    UNIQUE (reason, body)
);

CREATE TABLE update_runs (
    id          INTEGER PRIMARY KEY,
    trigger     TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    report      TEXT    NOT NULL,
    -- The run that answers a request.
    answered_by INTEGER
);

CREATE TABLE keys (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
);

CREATE TABLE imports (
    name       TEXT    NOT NULL PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiments (num),
    digest     BLOB    NOT NULL,
    at         INTEGER NOT NULL
);
