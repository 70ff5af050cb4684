//! Letting go of the past: row by row, since a file has no partitions.

use super::File;
use crate::Result;

impl File {
    /// Lets go of decisions from before a moment, of their hours, and of events from before another one with their
    /// claims; both in milliseconds.
    pub(in crate::sql) async fn forget(&self, decisions: i64, events: i64) -> Result<()> {
        let mut tx = self.write().await?;
        // Whole tables are read, once a day: an index on moments would be written with every row.
        for (sql, before) in [
            ("DELETE FROM outcomes WHERE hour < $1 / 3600000", decisions),
            ("DELETE FROM traffic WHERE hour < $1 / 3600000", decisions),
            ("DELETE FROM item_views WHERE hour < $1 / 3600000", decisions),
            ("DELETE FROM delays WHERE hour < $1 / 3600000", decisions),
            ("DELETE FROM newest_trials WHERE at < $1", decisions),
            ("DELETE FROM decisions WHERE at < $1", decisions),
            ("DELETE FROM decisions_of_visitors WHERE at < $1", decisions),
            ("DELETE FROM candidate_arms WHERE day < $1 / 86400000", decisions),
            ("DELETE FROM claims WHERE event IN (SELECT key FROM events WHERE at < $1)", events),
            ("DELETE FROM events WHERE at < $1", events),
        ] {
            sqlx::query(sql).bind(before).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        self.empty_wal(0).await;
        Ok(())
    }
}
