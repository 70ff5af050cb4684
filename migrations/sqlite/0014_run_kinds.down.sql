DROP INDEX update_runs_kind;
ALTER TABLE update_runs DROP COLUMN reached;
ALTER TABLE update_runs DROP COLUMN catalog;
ALTER TABLE update_runs DROP COLUMN kind;
