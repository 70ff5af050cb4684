-- What checks of an experiment found and need to go on, as JSON; and since when a breached guardrail has frozen it.
CREATE TABLE findings (
    experiment BIGINT PRIMARY KEY REFERENCES experiments (num),
    at         BIGINT NOT NULL,
    document   TEXT   NOT NULL
);

ALTER TABLE experiments ADD COLUMN frozen_at BIGINT;

-- Checks read the decisions of an hour, which stand together, since they are in the order of arrival.
CREATE INDEX decisions_by_moment ON decisions USING brin (at);
