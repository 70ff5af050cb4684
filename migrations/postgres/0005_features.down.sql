DROP INDEX decisions_features;
ALTER TABLE decisions DROP COLUMN features;
