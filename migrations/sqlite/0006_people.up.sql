-- People who sign in to the dashboard. They are never deleted: the audit log names them.
CREATE TABLE people (
    id          INTEGER PRIMARY KEY,
    name        TEXT    NOT NULL UNIQUE,
    role        TEXT    NOT NULL,
    -- Hash with its parameters and salt, a PHC string.
    password    TEXT    NOT NULL,
    -- Sessions of an earlier generation have ended.
    generation  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
);

CREATE TABLE sessions (
    -- SHA-256 of what the cookie holds.
    token      BLOB    NOT NULL PRIMARY KEY,
    person     INTEGER NOT NULL REFERENCES people (id),
    generation INTEGER NOT NULL,
    csrf       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_ends_at ON sessions (ends_at);
