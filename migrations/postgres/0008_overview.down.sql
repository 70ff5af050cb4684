ALTER TABLE findings DROP COLUMN worries;
DROP TABLE traffic;
