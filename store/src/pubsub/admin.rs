//! Topics and subscriptions: made, and looked at.

use super::client::{Client, code, once};
use crate::locations::{EventsAt, Locations, unusable};
use crate::{Result, StoreError};
use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::client::{SubscriptionAdmin, TopicAdmin};
use google_cloud_pubsub::model::{ExpirationPolicy, RetryPolicy, Subscription};
use std::time::Duration;

/// How long Pub/Sub waits for an acknowledgement before it delivers again; readers extend it while they work.
const ACK_DEADLINE_SECONDS: i32 = 20;
/// How long events wait for a reader, at most.
const RETENTION: Duration = Duration::from_hours(7 * 24);
/// Pauses before redelivery, at first and at most. The first is short, since a reader that ends gives back what it holds.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// A topic and the subscription that keeps what it is told.
struct Pair {
    topic: String,
    subscription: String,
}

struct Admin {
    client: Client,
    topics: TopicAdmin,
    subscriptions: SubscriptionAdmin,
}

impl Admin {
    async fn open(locations: &Locations) -> Result<Self> {
        let EventsAt::PubSub(topic) = EventsAt::parse(&locations.events)? else {
            return Err(unusable("events", &locations.events, "'pubsub://PROJECT/TOPIC' to have topics"));
        };
        let client = Client::new(&topic, locations)?;
        let (topics, subscriptions) = (client.topics().await?, client.subscriptions().await?);
        Ok(Self { client, topics, subscriptions })
    }

    fn pairs(&self) -> [Pair; 2] {
        let c = &self.client;
        [
            Pair { topic: c.topic(), subscription: c.subscription() },
            Pair { topic: c.dead_topic(), subscription: c.dead_subscription() },
        ]
    }
}

/// Makes the topics and subscriptions that are not there; a line for each.
///
/// There is no dead-letter policy: what cannot be read becomes a dead letter at once and by us, and a message that is
/// delivered often is a good one that met a database which was away.
///
/// # Errors
/// When the service cannot be reached or does not allow it.
pub(crate) async fn create_topics(locations: &Locations) -> Result<Vec<String>> {
    let admin = Admin::open(locations).await?;
    let mut lines = Vec::new();
    // A topic without a subscription forgets, so the one that must not comes last.
    for Pair { topic, subscription } in admin.pairs().into_iter().rev() {
        let made = once(admin.topics.create_topic().set_name(topic.clone())).send().await.map(drop);
        lines.push(outcome(&admin.client, &format!("topic {topic}"), made)?);
        let wanted = admin.subscriptions.create_subscription().with_request(plan(&topic, &subscription));
        let made = once(wanted).send().await.map(drop);
        lines.push(outcome(&admin.client, &format!("subscription {subscription}"), made)?);
    }
    Ok(lines)
}

/// Without order: the updater's results do not depend on it, and in an ordered subscription one event that is not
/// acknowledged holds back all later ones of its key. Events are published with ordering keys, so that other readers may
/// have an ordered subscription of their own.
fn plan(topic: &str, subscription: &str) -> Subscription {
    let mut backoff = RetryPolicy::new();
    backoff.minimum_backoff = BACKOFF.0.try_into().ok();
    backoff.maximum_backoff = BACKOFF.1.try_into().ok();
    let mut plan = Subscription::new()
        .set_name(subscription)
        .set_topic(topic)
        .set_ack_deadline_seconds(ACK_DEADLINE_SECONDS)
        // Without a time to live: a reader may be away for longer than the 31 days of the default.
        .set_expiration_policy(ExpirationPolicy::new())
        .set_retry_policy(backoff);
    plan.message_retention_duration = RETENTION.try_into().ok();
    plan
}

fn outcome(client: &Client, what: &str, made: google_cloud_pubsub::Result<()>) -> Result<String> {
    match made {
        Ok(()) => Ok(format!("{what}: made")),
        Err(e) if code(&e) == Some(Code::AlreadyExists) => Ok(format!("{what}: was there")),
        Err(e) => Err(client.failed(what, &e)),
    }
}

/// Looks whether the topics and subscriptions are there and as they were made; a line for each.
///
/// # Errors
/// The first that is missing or would lose events or their order.
pub(crate) async fn check_topics(locations: &Locations) -> Result<Vec<String>> {
    let admin = Admin::open(locations).await?;
    let mut lines = Vec::new();
    for Pair { topic, subscription } in admin.pairs() {
        let found = once(admin.topics.get_topic().set_topic(topic.clone())).send().await;
        found.map_err(|e| admin.client.failed(&topic, &e))?;
        lines.push(format!("topic {topic}: is there"));
        let found = once(admin.subscriptions.get_subscription().set_subscription(subscription.clone())).send().await;
        let found = found.map_err(|e| admin.client.failed(&subscription, &e))?;
        let flaw = if found.topic != topic {
            Some(format!("reads {}, not {topic}", found.topic))
        } else if found.dead_letter_policy.is_some() && topic == admin.client.topic() {
            Some("has a dead-letter policy, which takes good events away while the database is away".into())
        } else {
            None
        };
        if let Some(flaw) = flaw {
            let reason = format!("{subscription} {flaw}: delete it and run 'croupier admin create-topics'");
            return Err(StoreError::Setting { setting: "events", value: admin.client.url().to_owned(), reason });
        }
        lines.push(format!("subscription {subscription}: is there"));
    }
    Ok(lines)
}
