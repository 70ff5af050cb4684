DROP INDEX decisions_by_moment;
ALTER TABLE experiments DROP COLUMN frozen_at;
DROP TABLE findings;
