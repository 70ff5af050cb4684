DROP TABLE vector_changes;
DROP TABLE vector_walks;
DROP TABLE vector_queue;
