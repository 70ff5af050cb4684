DROP TABLE imports;
DROP TABLE keys;
DROP TABLE update_runs;
DROP TABLE dead_letters;
-- With their days.
DROP TABLE outcomes;
DROP TABLE claims;
DROP TABLE events;
DROP TABLE event_keys;
DROP TABLE decisions;
DROP TABLE decision_keys;
DROP TABLE segments;
DROP TABLE audit;
DROP TABLE experiments;
