-- How long rewards took, so that a trial is no failure while its reward may still come.

-- Milliseconds from the decision to its first reward, if it has been counted.
ALTER TABLE decisions ADD COLUMN counted_delay BIGINT;

-- Decisions by how long their first reward took: buckets are numbered in bandit/src/learn/delay.rs. In partitions as
-- outcomes are, and for the same reason.
CREATE TABLE delays (
    rewards    BIGINT   NOT NULL,
    experiment INTEGER  NOT NULL,
    hour       INTEGER  NOT NULL,
    bucket     SMALLINT NOT NULL,
    PRIMARY KEY (experiment, hour, bucket)
) PARTITION BY RANGE (hour);
CREATE TABLE delays_default PARTITION OF delays DEFAULT;

-- The moment of each experiment's newest trial.
CREATE TABLE newest_trials (
    experiment INTEGER NOT NULL PRIMARY KEY,
    at         BIGINT  NOT NULL
);

-- What was counted before is counted again, by the rule in store/src/sql/evaluate.rs.
UPDATE decisions SET counted_delay = (
    SELECT min(c.at) - decisions.at
    FROM claims c JOIN experiments x ON x.num = decisions.experiment
    WHERE c.decision = decisions.id AND c.kind = 'reward' AND c.value > 0
      AND c.name = x.definition::json #>> '{reward,event}'
      AND (c.experiment IS NULL OR c.experiment = x.id)
      AND c.at >= decisions.at - 60000
      AND c.at <= decisions.at + 3600000 * (x.definition::json #>> '{reward,window_hours}')::bigint
) WHERE counted_reward;

INSERT INTO delays (experiment, hour, bucket, rewards)
-- The upper edges of the buckets in minutes, as in bandit/src/learn/delay.rs.
WITH edges (minutes) AS (VALUES
    (1), (2), (3), (4), (5), (6), (8), (10), (12), (15), (20), (25), (30), (40), (50), (60), (90), (120), (150),
    (180), (240), (300), (360), (420), (480), (600), (720), (840), (960), (1080), (1200), (1440), (1800), (2160),
    (2520), (2880), (3600), (4320), (5040), (5760), (7200), (8640), (10080), (11520), (12960), (14400), (17280),
    (20160), (24480), (30240), (34560), (40320), (43200), (50400), (60480), (72000), (86400), (108000), (129600)
), counted AS (
    SELECT experiment, (at - (at % 3600000 + 3600000) % 3600000) / 3600000 AS hour,
        (SELECT count(*) FROM edges WHERE minutes * 60000::bigint <= counted_delay) AS bucket
    FROM decisions WHERE counted_delay IS NOT NULL
)
SELECT experiment, hour, bucket, count(*) FROM counted GROUP BY experiment, hour, bucket;

INSERT INTO newest_trials (experiment, at)
SELECT experiment, max(at) FROM decisions WHERE counted_trial GROUP BY experiment;
