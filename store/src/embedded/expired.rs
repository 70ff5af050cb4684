//! Items that expired leave the disk, a page at a time.

use super::Embedded;
use super::catalogs::{id_in, of_item};
use super::writer::Op;
use crate::format_catalogs::expired_head;
use crate::{Removed, Result};
use fjall::UserKey;
use jiff::Timestamp;
use std::ops::Bound;

impl Embedded {
    /// One page, of the items kept under a number.
    pub(super) async fn remove_expired_under(
        &self,
        kept_under: u64,
        before: Timestamp,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Removed> {
        let from =
            after.map_or(Bound::Included(of_item(kept_under, "")), |id| Bound::Excluded(of_item(kept_under, id)));
        let page = self.catalogs.items.range((from, Bound::Excluded(of_item(kept_under + 1, "")))).take(limit);
        let (mut expired, mut last, mut seen) = (Vec::new(), None, 0);
        for guard in page {
            let (key, bytes) = guard.into_inner()?;
            seen += 1;
            if expired_head(&bytes, before).is_some() {
                expired.push(key.clone());
            }
            last = Some(key);
        }
        let next = last.filter(|_| seen == limit).map(|key| id_in(&key, 8)).transpose()?;
        Ok(Removed { count: self.remove_if_expired(&expired, before).await?, next })
    }

    /// Removes those of these that are still expired; how many.
    async fn remove_if_expired(&self, keys: &[UserKey], before: Timestamp) -> Result<u64> {
        if keys.is_empty() {
            return Ok(0);
        }
        // Nobody puts while this is held, and what was put is waited for: what is read is what will be removed.
        let mut edited = self.catalogs.editing.write().await;
        let _ = edited.clone().wait().await;
        let _ = self.last_noted().wait().await;
        let mut ops = Vec::new();
        for key in keys {
            let standing = self.catalogs.items.get(key)?;
            if standing.is_some_and(|bytes| expired_head(&bytes, before).is_some()) {
                ops.push(Op::remove(&self.catalogs.items, &key[..]));
            }
        }
        let count = ops.len() as u64;
        if count > 0 {
            let durable = self.writer.with(|pending| pending.add(ops))?;
            // Who looks whether the catalog has items waits for it.
            *edited = durable.clone();
            drop(edited);
            durable.wait().await?;
        }
        Ok(count)
    }
}
