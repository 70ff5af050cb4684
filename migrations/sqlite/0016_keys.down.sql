DROP TABLE erasures;
DROP INDEX audit_of_experiments;
-- Whoever reads the audit log from here on knows of experiments only.
DELETE FROM audit WHERE experiment = '';
ALTER TABLE audit DROP COLUMN request;
ALTER TABLE audit DROP COLUMN subject;
ALTER TABLE keys DROP COLUMN used_at;
ALTER TABLE keys DROP COLUMN per_minute;
-- Without its origins a key would be good for any page.
UPDATE keys SET revoked_at = created_at WHERE origins <> '' AND revoked_at IS NULL;
ALTER TABLE keys DROP COLUMN origins;
