-- What lists of experiments show, so that they need not add up every segment and arm.

-- Trials and rewards of an hour of decision: the sums of its rows of outcomes, moved with them.
CREATE TABLE traffic (
    experiment INTEGER NOT NULL REFERENCES experiments (num),
    hour       INTEGER NOT NULL,
    trials     INTEGER NOT NULL,
    rewards    INTEGER NOT NULL,
    PRIMARY KEY (experiment, hour)
) WITHOUT ROWID;

INSERT INTO traffic (experiment, hour, trials, rewards)
SELECT experiment, hour, sum(trials), sum(rewards) FROM outcomes GROUP BY experiment, hour;

-- Names of the checks in the document that are not well, a line each.
ALTER TABLE findings ADD COLUMN worries TEXT NOT NULL DEFAULT '';

UPDATE findings SET worries = coalesce((
    SELECT group_concat(json_extract(value, '$.check'), char(10))
    FROM json_each(findings.document, '$.lines') WHERE json_extract(value, '$.ok') = 0
), '') WHERE json_valid(document);
