-- Rows of PostgreSQL stand in the order in which they came anyway.
SELECT 1;
