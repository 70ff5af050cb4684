DROP TABLE catalog_maps;
DROP TABLE list_hours;
