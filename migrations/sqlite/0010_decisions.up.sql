-- People look for a visitor's decisions; those of an experiment have their index since its checks read them.
CREATE INDEX decisions_by_visitor ON decisions (visitor, at);
