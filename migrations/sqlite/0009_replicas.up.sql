-- What each process last said of itself, until when it holds by this database's clock, and when that was.
CREATE TABLE replicas (
    name   TEXT    NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    report TEXT    NOT NULL
) WITHOUT ROWID;
