-- What checks of an experiment found and need to go on, as JSON; and since when a breached guardrail has frozen it.
CREATE TABLE findings (
    experiment INTEGER PRIMARY KEY REFERENCES experiments (num),
    at         INTEGER NOT NULL,
    document   TEXT    NOT NULL
);

ALTER TABLE experiments ADD COLUMN frozen_at INTEGER;

-- Checks read the decisions of an hour.
CREATE INDEX decisions_by_moment ON decisions (experiment, at);
