DROP INDEX update_runs_answered;
DROP INDEX update_runs_open;
DROP TABLE leases;
