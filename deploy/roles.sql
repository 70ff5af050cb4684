-- What each role may do in the database. Run it as croupier_setup after every migration: it may be repeated, and what a
-- role is not given here it does not have. cloud-run.md makes the roles themselves, with SQL and not with
-- `gcloud sql users create`, because that makes every user a cloudsqlsuperuser.

\set ON_ERROR_STOP on
BEGIN;

GRANT USAGE ON SCHEMA public TO croupier_api, croupier_updater, croupier_dashboard;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM croupier_api, croupier_dashboard;

-- The API changes experiments and says who did, asks for updates, and checks keys. It never sees decisions or events:
-- those go through Pub/Sub, so that somebody who breaks into it cannot read visitors' histories here.
GRANT SELECT ON experiments, audit, segments, candidate_arms, outcomes, delays, newest_trials, findings, imports, update_runs,
    keys, replicas, _sqlx_migrations TO croupier_api;
GRANT INSERT ON experiments, audit, update_runs TO croupier_api;
GRANT INSERT, UPDATE, DELETE ON replicas TO croupier_api;
-- Which items wait for vectors of their texts; trying again those that were set aside.
GRANT SELECT ON vector_queue, vector_walks TO croupier_api, croupier_dashboard;
GRANT UPDATE ON vector_queue TO croupier_api, croupier_dashboard;
GRANT SELECT, INSERT, UPDATE ON list_hours TO croupier_api;
GRANT UPDATE, DELETE ON experiments TO croupier_api;
-- When a key was last used.
GRANT UPDATE (used_at) ON keys TO croupier_api;
-- So it can neither tell nor erase a user's data: /v1/users answers 500 there. Run those two routes on an API of their own, with
-- an `admin_listen` that only administrators reach and the user croupier_updater, who may change decisions, plus what this
-- gives it:
--   GRANT INSERT ON audit TO croupier_updater;

-- The dashboard looks, at single decisions too, does what editors ask, and lets people in.
GRANT SELECT ON experiments, audit, segments, candidate_arms, outcomes, delays, newest_trials, traffic, item_views, findings,
    history, decisions, decision_keys, claims, events, dead_letters, imports, update_runs, leases, keys, replicas, _sqlx_migrations
    TO croupier_dashboard;
GRANT INSERT ON experiments, audit, update_runs TO croupier_dashboard;
GRANT UPDATE, DELETE ON experiments TO croupier_dashboard;
GRANT INSERT, UPDATE, DELETE ON replicas TO croupier_dashboard;
GRANT SELECT ON people, list_hours, catalog_maps TO croupier_dashboard;
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO croupier_dashboard;

-- The updater fills the large tables. Only a table's owner may make and drop its partitions, so it owns those that are
-- partitioned, and makes new ones in the schema. It does not change experiments, the audit log or keys.
GRANT CREATE ON SCHEMA public TO croupier_updater;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO croupier_updater;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO croupier_updater;
REVOKE INSERT, UPDATE, DELETE ON experiments, audit, keys, imports, _sqlx_migrations
    FROM croupier_updater;
REVOKE ALL ON people, sessions FROM croupier_updater;

DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN
        SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND (relkind = 'p' OR relkind = 'r' AND relispartition)
          AND relowner = 'croupier_setup'::regrole
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO croupier_updater', part);
    END LOOP;
END
$$;

COMMIT;
