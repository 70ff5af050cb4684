DROP INDEX decisions_by_visitor;
DROP INDEX decisions_by_experiment;
