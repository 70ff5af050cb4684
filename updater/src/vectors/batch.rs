//! One batch: items that are due get their vectors.

use super::Vectors;
use super::make::{Made, make};
use super::models::Models;
use super::patience::{Patience, wait};
use embed::Embedder;
use jiff::Timestamp;
use metrics::counter;
use recommend::Item;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use store::{Catalog, Result, Waiting};

/// Most items of a batch: with their texts and vectors some megabytes.
const MOST: usize = 256;

impl Vectors {
    /// Makes vectors of some items of a catalog; whether there were any to do.
    pub(super) async fn make_batch(&mut self, catalog: &Catalog, models: &Models) -> Result<bool> {
        let (id, work) = (&catalog.id, self.stores.vector_work.clone());
        let now = self.clock.now();
        let each = models.each();
        if each.is_empty() || each.iter().any(|model| !self.may_ask(model.version())) {
            return Ok(false);
        }
        let due = work.due(id, now, MOST).await?;
        if due.is_empty() {
            return Ok(false);
        }
        let began = Instant::now();
        let ids: Vec<String> = due.iter().map(|waiting| waiting.item.clone()).collect();
        let found = self.stores.catalogs.items(id, &ids).await?;
        let (mut pairs, mut turns, mut settled) = (Vec::new(), Vec::new(), Vec::new());
        for (waiting, item) in due.into_iter().zip(found) {
            match item {
                // Also one that has all: who made its vectors may have been cut off before that was noted. What cannot be read
                // has no text; once it is put again it is noted again.
                Some(Ok(item)) if item.text.is_some() && !item.has_ended(now) => {
                    pairs.push((item.clone(), item));
                    turns.push(waiting);
                }
                _ => settled.push(waiting),
            }
        }
        let mut failures: HashMap<String, Made> = HashMap::new();
        let mut made = 0;
        for model in each {
            made += self.add_vectors(catalog, &**model, &mut pairs, &mut failures).await;
        }
        for (_, new) in &mut pairs {
            models.drop_others(new);
        }
        // What only failed did not change, and is not noted: its change would have it tried again at once.
        pairs.retain(|(old, new)| old != new || !failures.contains_key(&new.id));
        let replaced = self.stores.catalogs.replace_items(id, &pairs).await?;
        let replaced: HashSet<&str> =
            pairs.iter().zip(replaced).filter(|(_, done)| *done).map(|((_, new), _)| &*new.id).collect();
        for waiting in turns {
            match failures.remove(&waiting.item) {
                // One that changed meanwhile is looked at again.
                None if replaced.contains(&*waiting.item) => settled.push(waiting),
                None | Some(Made::Vector(_)) => {}
                Some(Made::Refused(why)) => self.put_off(id, waiting, &why, None).await?,
                Some(Made::Later(why, asked)) => {
                    let again = wait(waiting.attempts.saturating_add(1), asked);
                    let again = again.and_then(|wait| self.clock.now().checked_add(wait).ok());
                    self.put_off(id, waiting, &why, again).await?;
                }
            }
        }
        counter!("croupier_updater_texts_embedded_total").increment(made);
        self.made += made;
        work.settle(id, &settled, per_second(made, began.elapsed()), self.clock.now()).await?;
        Ok(true)
    }

    /// Has a model make the vectors of those that need one; how many it made.
    async fn add_vectors(
        &mut self,
        catalog: &Catalog,
        model: &dyn Embedder,
        pairs: &mut [(Item, Item)],
        failures: &mut HashMap<String, Made>,
    ) -> u64 {
        let needs = |(_, new): &(Item, Item)| new.text.as_ref().is_some_and(|text| text.needs(model.version()));
        let places: Vec<usize> = (0..pairs.len()).filter(|place| needs(&pairs[*place])).collect();
        let texts: Vec<&str> = places.iter().filter_map(|place| Some(&*pairs[*place].1.text.as_ref()?.text)).collect();
        if texts.is_empty() {
            return 0;
        }
        let results = make(model, catalog.definition.metric, &texts).await;
        let patience = self.patience.entry(model.version().to_owned()).or_default();
        let mut count = 0;
        let mut late = None;
        for (place, made) in places.into_iter().zip(results) {
            let item = &mut pairs[place].1;
            match (made, &mut item.text) {
                (Made::Vector(vector), Some(text)) => {
                    count += 1;
                    text.set(model.version(), vector);
                }
                (failure, _) => {
                    if let Made::Later(why, asked) = &failure {
                        late = Some((why.clone(), *asked));
                    }
                    failures.insert(item.id.clone(), failure);
                }
            }
        }
        match late {
            Some((why, asked)) => {
                tracing::warn!("{} makes no vectors now, and is asked again later: {why}", model.version());
                patience.failed(asked);
            }
            None => patience.worked(),
        }
        count
    }

    fn may_ask(&self, version: &str) -> bool {
        self.patience.get(version).is_none_or(Patience::is_over)
    }

    /// Has an item wait until a moment, or sets it aside.
    async fn put_off(&self, id: &str, waiting: Waiting, why: &str, again: Option<Timestamp>) -> Result<()> {
        if again.is_none() {
            counter!("croupier_updater_texts_set_aside_total").increment(1);
            tracing::warn!("item '{}' of catalog '{id}' has no vector and is set aside: {why}", waiting.item);
        }
        self.stores.vector_work.fail(id, &[waiting], why, again, self.clock.now()).await
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of one batch")]
fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-3)
}
