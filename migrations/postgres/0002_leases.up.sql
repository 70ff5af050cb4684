-- Who may do what one process at a time may do, until when by this database's clock.
CREATE TABLE leases (
    name   TEXT   NOT NULL PRIMARY KEY,
    holder TEXT   NOT NULL,
    until  BIGINT NOT NULL
);

-- The updater asks twice a second whether a run was requested.
CREATE INDEX update_runs_open ON update_runs (status) WHERE status IN ('requested', 'running');
CREATE INDEX update_runs_answered ON update_runs (answered_by) WHERE answered_by IS NOT NULL;
