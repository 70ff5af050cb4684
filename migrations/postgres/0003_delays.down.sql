DROP TABLE newest_trials;
DROP TABLE delays;
ALTER TABLE decisions DROP COLUMN counted_delay;
