-- What each process counted of the lists that it served, by catalog and hour; a process replaces what it said before.
CREATE TABLE list_hours (
    catalog      TEXT   NOT NULL COLLATE "C",
    hour         BIGINT NOT NULL,
    replica      TEXT   NOT NULL COLLATE "C",
    lists        BIGINT NOT NULL,
    from_history BIGINT NOT NULL,
    items        BIGINT NOT NULL,
    measured     BIGINT NOT NULL,
    distance     DOUBLE PRECISION NOT NULL,
    dated        BIGINT NOT NULL,
    fresh        BIGINT NOT NULL,
    age_seconds  DOUBLE PRECISION NOT NULL,
    shown        BYTEA  NOT NULL,
    PRIMARY KEY (catalog, hour, replica)
);

-- The plane that the map of a catalog is drawn on.
CREATE TABLE catalog_maps (
    catalog  TEXT COLLATE "C" PRIMARY KEY,
    document TEXT NOT NULL
);
