-- What a run is of, of which catalog where it is of one, and how far it came: from there another goes on.
ALTER TABLE update_runs ADD COLUMN kind TEXT NOT NULL DEFAULT 'posteriors';
ALTER TABLE update_runs ADD COLUMN catalog TEXT;
ALTER TABLE update_runs ADD COLUMN reached TEXT;
CREATE INDEX update_runs_kind ON update_runs (kind, id);
