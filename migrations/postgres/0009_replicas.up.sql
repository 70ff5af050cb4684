-- What each process last said of itself, until when it holds by this database's clock, and when that was.
CREATE TABLE replicas (
    name   TEXT   NOT NULL PRIMARY KEY,
    at     BIGINT NOT NULL,
    until  BIGINT NOT NULL,
    report TEXT   NOT NULL
);
