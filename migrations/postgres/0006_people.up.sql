-- People who sign in to the dashboard. They are never deleted: the audit log names them.
CREATE TABLE people (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        TEXT   NOT NULL UNIQUE,
    role        TEXT   NOT NULL,
    -- Hash with its parameters and salt, a PHC string.
    password    TEXT   NOT NULL,
    -- Sessions of an earlier generation have ended.
    generation  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE TABLE sessions (
    -- SHA-256 of what the cookie holds.
    token      BYTEA  NOT NULL PRIMARY KEY,
    person     BIGINT NOT NULL REFERENCES people (id),
    generation BIGINT NOT NULL,
    csrf       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL,
    ends_at    BIGINT NOT NULL
);
CREATE INDEX sessions_ends_at ON sessions (ends_at);
