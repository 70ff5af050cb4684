-- What lists of experiments show, so that they need not add up every segment and arm.

-- Trials and rewards of an hour of decision: the sums of its rows of outcomes, moved with them.
CREATE TABLE traffic (
    experiment BIGINT NOT NULL REFERENCES experiments (num),
    hour       BIGINT NOT NULL,
    trials     BIGINT NOT NULL,
    rewards    BIGINT NOT NULL,
    PRIMARY KEY (experiment, hour)
);

INSERT INTO traffic (experiment, hour, trials, rewards)
SELECT experiment, hour, sum(trials), sum(rewards) FROM outcomes GROUP BY experiment, hour;

-- Names of the checks in the document that are not well, a line each.
ALTER TABLE findings ADD COLUMN worries TEXT NOT NULL DEFAULT '';

UPDATE findings SET worries = coalesce((
    SELECT string_agg(line ->> 'check', E'\n') FROM jsonb_array_elements(document::jsonb -> 'lines') AS line
    WHERE line ->> 'ok' = 'false'
), '');
