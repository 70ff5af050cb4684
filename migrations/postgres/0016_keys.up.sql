-- Which pages a key is for, one origin a line; none: it is for servers. How often it may ask in a minute; none: as often as
-- it likes. The hour that it was last used in.
ALTER TABLE keys ADD COLUMN origins TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN per_minute BIGINT;
ALTER TABLE keys ADD COLUMN used_at BIGINT;

-- What an entry is about that is about no experiment, and the request that brought it.
ALTER TABLE audit ADD COLUMN subject TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN request TEXT NOT NULL DEFAULT '';
-- Replicas ask twice a second for the newest change of an experiment.
CREATE INDEX audit_of_experiments ON audit (id) WHERE experiment <> '';

-- Whose records are left out when they come out of the log: the hash of a user, and up to which moment.
CREATE TABLE erasures (
    visitor BYTEA  NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL
);
