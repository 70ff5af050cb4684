DROP TABLE item_views;
