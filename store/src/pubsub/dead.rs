//! Messages that are no events: kept on a topic of their own, with the reason.

use super::client::{Client, line};
use crate::{Result, StoreError};
use google_cloud_pubsub::client::Publisher;
use google_cloud_pubsub::model::Message;
use std::time::Duration;
use tokio::time::timeout;

/// How long Pub/Sub may take to take one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an attribute's value that Pub/Sub takes.
const MOST_REASON: usize = 1_024;

/// The topic `TOPIC-dead`.
pub(super) struct DeadLetters(Publisher);

impl DeadLetters {
    pub(super) async fn open(client: &Client) -> Result<Self> {
        Ok(Self(client.publishers(PATIENCE).await?.publisher(client.dead_topic()).build()))
    }

    /// Publishes what `message` holds, with `reason` among its attributes; it is safe when this returns.
    pub(super) async fn publish(&self, message: &Message, reason: &str) -> Result<()> {
        let mut end = reason.len().min(MOST_REASON);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let mut letter = message.clone();
        letter.attributes.insert("reason".into(), reason[..end].into());
        // Nothing after it need wait if it cannot be published.
        letter.ordering_key.clear();
        let failed = |why: &str| StoreError::Remote { service: "Pub/Sub", why: format!("dead letters: {}", line(why)) };
        match timeout(PATIENCE, self.0.publish(letter)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(failed(&e.to_string())),
            Err(_) => Err(failed("no answer")),
        }
    }
}
