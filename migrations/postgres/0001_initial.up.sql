-- Moments are milliseconds since 1970, hours are hours since 1970, enums are their names or, in the large
-- tables, small numbers written down beside the code that maps them.

CREATE TABLE experiments (
    num        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- In the order of bytes, whatever the database's language.
    id         TEXT   COLLATE "C" NOT NULL UNIQUE,
    definition TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    winner     TEXT,
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    started_at BIGINT,
    stopped_at BIGINT,
    deleted_at BIGINT
);

CREATE TABLE audit (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT NOT NULL,
    who        TEXT   NOT NULL,
    why        TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    experiment TEXT   NOT NULL,
    document   TEXT   NOT NULL
);
CREATE INDEX audit_by_experiment ON audit (experiment, id);

-- Names of segments, so that a decision holds a number.
CREATE TABLE segments (
    num        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    experiment BIGINT NOT NULL REFERENCES experiments (num),
    segment    TEXT   NOT NULL,
    UNIQUE (experiment, segment)
);

-- Decisions, events and outcomes are kept in a partition for each day (UTC), which is made when the day's first batch
-- arrives and dropped when the day is forgotten. What does not arrive around its day, an imported log above all, is in
-- the partition 'default': so nobody can make partitions at will.
--
-- A partition's key can only be unique within it, but an id counts once, on whatever day it is sent again: an event
-- without a moment is stamped on arrival, so that its repetition after midnight is of another day. Ids are therefore
-- unique in narrow tables of their own, which also tell in which partition to look. They are cleaned as days are
-- forgotten: from then on nobody knows the id, and what was counted for it is gone too.
--
-- References to experiments and segments are not checked row by row: ingest reads both in the same transaction, and
-- neither is deleted once it has a segment.

CREATE TABLE decision_keys (
    id BYTEA  NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL
);

CREATE TABLE decisions (
    at         BIGINT           NOT NULL,
    propensity DOUBLE PRECISION NOT NULL,
    version    BIGINT           NOT NULL,
    revision   BIGINT           NOT NULL,
    experiment INTEGER          NOT NULL,
    segment    INTEGER          NOT NULL,
    arm        SMALLINT         NOT NULL,
    source     SMALLINT         NOT NULL,
    -- What it has added to its row of outcomes.
    counted_trial  BOOLEAN      NOT NULL DEFAULT FALSE,
    counted_reward BOOLEAN      NOT NULL DEFAULT FALSE,
    id         BYTEA            NOT NULL,
    visitor    TEXT             NOT NULL,
    item       TEXT,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE decisions_default PARTITION OF decisions DEFAULT;

CREATE TABLE event_keys (
    key BYTEA NOT NULL PRIMARY KEY
);

-- As they arrived. What counting needs of them is in their claims, so nothing looks one up.
CREATE TABLE events (
    at         BIGINT           NOT NULL,
    value      DOUBLE PRECISION NOT NULL,
    key        BYTEA            NOT NULL,
    kind       TEXT             NOT NULL,
    name       TEXT             NOT NULL,
    visitor    TEXT,
    item       TEXT,
    -- The only experiment it is for, if it names one.
    experiment TEXT
) PARTITION BY RANGE (at);
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- Which decisions an event may belong to; the decision may arrive later than the event. Looked up by decision, whose
-- events may be of many days, so there is one table; the moment is the event's, and in the order of arrival, which
-- is what a BRIN index is for.
CREATE TABLE claims (
    at         BIGINT           NOT NULL,
    value      DOUBLE PRECISION NOT NULL,
    decision   BYTEA            NOT NULL,
    event      BYTEA            NOT NULL,
    kind       TEXT             NOT NULL,
    name       TEXT             NOT NULL,
    experiment TEXT
);
CREATE INDEX claims_by_decision ON claims (decision);
CREATE INDEX claims_by_moment ON claims USING brin (at);

CREATE TABLE outcomes (
    trials     BIGINT   NOT NULL,
    rewards    BIGINT   NOT NULL,
    experiment INTEGER  NOT NULL,
    hour       INTEGER  NOT NULL,
    segment    INTEGER  NOT NULL,
    arm        SMALLINT NOT NULL,
    holdout    BOOLEAN  NOT NULL,
    PRIMARY KEY (experiment, hour, segment, arm, holdout)
) PARTITION BY RANGE (hour);
CREATE TABLE outcomes_default PARTITION OF outcomes DEFAULT;

CREATE TABLE dead_letters (
    id     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     BIGINT NOT NULL,
    reason TEXT   NOT NULL,
    body   TEXT   NOT NULL
);
-- The texts are longer than an index takes.
CREATE UNIQUE INDEX dead_letters_once ON dead_letters (
    hashtextextended(reason, 0), hashtextextended(body, 0), hashtextextended(body, 1)
);

CREATE TABLE update_runs (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trigger     TEXT   NOT NULL,
    status      TEXT   NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    report      TEXT   NOT NULL,
    -- The run that answers a request.
    answered_by BIGINT
);

CREATE TABLE keys (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       TEXT   NOT NULL,
    scope      TEXT   NOT NULL,
    hash       BYTEA  NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE imports (
    name       TEXT   NOT NULL PRIMARY KEY,
    experiment BIGINT NOT NULL REFERENCES experiments (num),
    digest     BYTEA  NOT NULL,
    at         BIGINT NOT NULL
);
