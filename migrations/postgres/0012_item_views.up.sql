-- Views of items by hour, moved with the views that are new among events: what is popular is told from it.
CREATE TABLE item_views (
    hour  BIGINT NOT NULL,
    item  TEXT   NOT NULL COLLATE "C",
    views BIGINT NOT NULL,
    PRIMARY KEY (hour, item)
);

INSERT INTO item_views (hour, item, views)
SELECT floor(at / 3600000.0)::bigint, item, count(*) FROM events
WHERE kind = 'view' AND item IS NOT NULL GROUP BY 1, 2;
