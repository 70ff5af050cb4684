//! Whether the file is what was written, as far as can be told: SQLite has checksums in its write-ahead log, none in the file.

use super::File;
use crate::{Result, StoreError};

/// Experiments whose definition is another than the audit log says, which was written in the same transaction; or whose
/// revision is none that follows from it.
const REDEFINED: &str = "SELECT e.id FROM experiments e
    JOIN audit last ON last.id = (SELECT max(id) FROM audit WHERE experiment = e.id AND action IN ('create', 'replace'))
    WHERE e.deleted_at IS NULL AND (e.definition <> last.document OR e.revision <> (
        SELECT count(*) FROM audit a WHERE a.experiment = e.id AND a.action IN ('create', 'replace')
        AND a.id >= (SELECT max(id) FROM audit WHERE experiment = e.id AND action = 'create')))";

impl File {
    /// Looks at every page; what is wrong. `thorough` compares indexes with their tables too.
    pub(in crate::sql) async fn broken_pages(&self, thorough: bool) -> Result<Vec<String>> {
        let pragma = if thorough { "PRAGMA integrity_check(10)" } else { "PRAGMA quick_check(10)" };
        let lines: Vec<String> = sqlx::query_scalar(pragma).fetch_all(&self.pool).await?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    /// The experiments whose definition was changed by nobody.
    async fn redefined(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(REDEFINED).fetch_all(&self.pool).await?)
    }

    /// # Errors
    /// [`StoreError::Damaged`] when anything is wrong.
    pub(super) async fn refuse_damage(&self) -> Result<()> {
        if let Some(id) = self.redefined().await?.first() {
            let what = format!("the definition of experiment '{id}' is not what the audit log says");
            return Err(StoreError::Damaged(format!("the database: {what}; restore a backup")));
        }
        Ok(())
    }
}
