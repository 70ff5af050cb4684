-- What each process counted of the lists that it served, by catalog and hour; a process replaces what it said before.
CREATE TABLE list_hours (
    catalog      TEXT    NOT NULL,
    hour         INTEGER NOT NULL,
    replica      TEXT    NOT NULL,
    lists        INTEGER NOT NULL,
    from_history INTEGER NOT NULL,
    items        INTEGER NOT NULL,
    measured     INTEGER NOT NULL,
    distance     REAL    NOT NULL,
    dated        INTEGER NOT NULL,
    fresh        INTEGER NOT NULL,
    age_seconds  REAL    NOT NULL,
    shown        BLOB    NOT NULL,
    PRIMARY KEY (catalog, hour, replica)
);

-- The plane that the map of a catalog is drawn on.
CREATE TABLE catalog_maps (
    catalog  TEXT PRIMARY KEY,
    document TEXT NOT NULL
);
