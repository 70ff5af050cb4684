ALTER TABLE decisions DROP COLUMN list;
ALTER TABLE decisions DROP COLUMN position;
DROP TABLE candidate_arms;
