-- Values of the declared features at the first draw, as a JSON object; null where the policy is not contextual.
ALTER TABLE decisions ADD COLUMN features TEXT;
-- The evidence of contextual policies is read newest first.
CREATE INDEX decisions_features ON decisions (experiment, at) WHERE features IS NOT NULL;
