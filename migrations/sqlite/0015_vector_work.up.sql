-- Items that wait for vectors of their texts, or were set aside.
CREATE TABLE vector_queue (
    catalog  TEXT NOT NULL,
    item     TEXT NOT NULL,
    noted    INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_at  INTEGER NOT NULL,
    why      TEXT,
    aside_at INTEGER,
    PRIMARY KEY (catalog, item)
);

CREATE INDEX vector_queue_due ON vector_queue (catalog, next_at, item) WHERE aside_at IS NULL;

-- How far each catalog's items were looked at for what they should have, and how it goes.
CREATE TABLE vector_walks (
    catalog    TEXT NOT NULL PRIMARY KEY,
    models     TEXT NOT NULL,
    after_item TEXT,
    done       BOOLEAN NOT NULL,
    rate       REAL NOT NULL,
    made_at    INTEGER,
    trouble    TEXT
);

-- Up to which change of catalogs items were looked at: one row.
CREATE TABLE vector_changes (
    one       INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    looked_at INTEGER NOT NULL
);
