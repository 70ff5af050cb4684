-- Each published version of an experiment in one document: its arms over all segments as they stood then.
CREATE TABLE history (
    experiment INTEGER NOT NULL REFERENCES experiments (num),
    version    INTEGER NOT NULL,
    as_of      INTEGER NOT NULL,
    document   TEXT    NOT NULL,
    PRIMARY KEY (experiment, version)
);
-- Which versions there are is read without their documents.
CREATE INDEX history_by_moment ON history (experiment, as_of, version);
