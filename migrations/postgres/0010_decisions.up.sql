-- People look for decisions: for the newest of an experiment, and for a visitor's.
CREATE INDEX decisions_by_experiment ON decisions (experiment, at);
CREATE INDEX decisions_by_visitor ON decisions (visitor, at);
