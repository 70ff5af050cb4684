DELETE FROM outcomes WHERE experiment IN (SELECT experiment FROM candidate_arms);
DELETE FROM decision_keys k USING decisions d
    WHERE k.id = d.id AND k.at = d.at AND d.experiment IN (SELECT experiment FROM candidate_arms);
DELETE FROM decisions WHERE experiment IN (SELECT experiment FROM candidate_arms);
ALTER TABLE outcomes ALTER COLUMN arm TYPE SMALLINT;
ALTER TABLE decisions ALTER COLUMN arm TYPE SMALLINT;
ALTER TABLE decisions DROP COLUMN list;
ALTER TABLE decisions DROP COLUMN position;
DROP TABLE candidate_arms;
