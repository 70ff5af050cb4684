-- Views of items by hour, moved with the views that are new among events: what is popular is told from it.
CREATE TABLE item_views (
    hour  INTEGER NOT NULL,
    item  TEXT    NOT NULL,
    views INTEGER NOT NULL,
    PRIMARY KEY (hour, item)
) WITHOUT ROWID;

INSERT INTO item_views (hour, item, views)
SELECT (at - ((at % 3600000) + 3600000) % 3600000) / 3600000, item, count(*) FROM events
WHERE kind = 'view' AND item IS NOT NULL GROUP BY 1, 2;
