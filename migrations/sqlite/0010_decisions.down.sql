DROP INDEX decisions_by_visitor;
