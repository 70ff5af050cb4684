-- Items that wait for vectors of their texts, or were set aside.
CREATE TABLE vector_queue (
    catalog  TEXT NOT NULL COLLATE "C",
    item     TEXT NOT NULL COLLATE "C",
    noted    BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at  BIGINT NOT NULL,
    why      TEXT,
    aside_at BIGINT,
    PRIMARY KEY (catalog, item)
);

CREATE INDEX vector_queue_due ON vector_queue (catalog, next_at, item) WHERE aside_at IS NULL;

-- How far each catalog's items were looked at for what they should have, and how it goes.
CREATE TABLE vector_walks (
    catalog    TEXT NOT NULL COLLATE "C" PRIMARY KEY,
    models     TEXT NOT NULL,
    after_item TEXT,
    done       BOOLEAN NOT NULL,
    rate       DOUBLE PRECISION NOT NULL,
    made_at    BIGINT,
    trouble    TEXT
);

-- Up to which change of catalogs items were looked at: one row.
CREATE TABLE vector_changes (
    one       BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    looked_at BIGINT NOT NULL
);
