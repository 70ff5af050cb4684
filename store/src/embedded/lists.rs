//! Lists made ahead: a key for each, under its visitor.

use super::Embedded;
use super::writer::Op;
use crate::format_lists::{decode_list, encode_list, list_made};
use crate::format_views::{decode_seen, newest_of_each};
use crate::lists::{Lists, NewList, Visit, Visitor, Visitors};
use crate::views::VIEWS_KEPT;
use crate::{Result, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use std::ops::Bound;

/// Name of the keyspace, by which its filter is found.
pub(super) const LISTS: &str = "lists";

/// Lists of one write: decisions wait for its end.
const AT_ONCE: usize = 250;

fn key(visitor: &Visitor, catalog: &str) -> Vec<u8> {
    [&visitor.0[..], catalog.as_bytes()].concat()
}

#[async_trait]
impl Lists for Embedded {
    async fn visit(&self, visitor: &Visitor, catalog: &str) -> Result<Visit> {
        let keys = self.views.prefix(visitor.0).map(|guard| decode_seen(&guard.key()?[16..]));
        let list = self.lists.get(key(visitor, catalog))?.and_then(|bytes| decode_list(&bytes));
        Ok(Visit { seen: newest_of_each(keys, VIEWS_KEPT)?, list })
    }

    async fn put_lists(&self, lists: &[NewList]) -> Result<()> {
        for lists in lists.chunks(AT_ONCE) {
            let mut ops = Vec::with_capacity(lists.len());
            for NewList { visitor, catalog, list } in lists {
                let key = key(visitor, catalog);
                let standing = self.lists.get(&key)?.and_then(|bytes| list_made(&bytes));
                if standing.is_none_or(|ms| ms <= list.made_at.as_millisecond()) {
                    ops.push(Op::put(&self.lists, key, encode_list(list)?));
                }
            }
            if !ops.is_empty() {
                self.writer.with(|pending| pending.add(ops))?.wait().await?;
            }
        }
        Ok(())
    }

    async fn visitors(&self, after: Option<&Visitor>, since: Timestamp, limit: usize) -> Result<Visitors> {
        let from = match after.map(|visitor| u128::from_be_bytes(visitor.0).checked_add(1)) {
            None => Bound::Unbounded,
            Some(Some(next)) => Bound::Included(next.to_be_bytes()),
            // After the last that there can be.
            Some(None) => return Ok(Visitors::default()),
        };
        let (mut found, mut keys, mut looked_at) = (Vec::new(), Vec::new(), 0);
        let mut current: Option<Visitor> = None;
        let mut close = |visitor: Option<Visitor>, keys: &mut Vec<Result<_>>| -> Result<()> {
            if let Some(visitor) = visitor {
                let seen = newest_of_each(keys.drain(..), VIEWS_KEPT)?;
                if seen.first().is_some_and(|newest| newest.at >= since) {
                    found.push((visitor, seen));
                }
            }
            Ok(())
        };
        let mut next = None;
        for guard in self.views.range::<[u8; 16], _>((from, Bound::Unbounded)) {
            let bytes = guard.key()?;
            let (visitor, seen) =
                bytes.split_first_chunk().ok_or_else(|| StoreError::Damaged("a key of a view".into()))?;
            let visitor = Visitor(*visitor);
            if current != Some(visitor) {
                close(current, &mut keys)?;
                if looked_at >= limit.max(1) {
                    next = current.take();
                    break;
                }
                looked_at += 1;
                current = Some(visitor);
            }
            if keys.len() < VIEWS_KEPT {
                keys.push(decode_seen(seen));
            }
        }
        close(current, &mut keys)?;
        Ok(Visitors { visitors: found, next })
    }
}
