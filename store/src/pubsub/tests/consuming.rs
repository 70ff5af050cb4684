//! What a reader must not lose, skip or pile up.

use super::*;
use crate::conformance::event_log::{event_of, id};
use google_cloud_pubsub::client::Subscriber;
use google_cloud_pubsub::model::Message;

/// Events of a few users, in order.
pub(super) fn events(range: std::ops::Range<usize>) -> Vec<Event> {
    range.map(|n| event_of(format!("u{}", n % 7), n.to_string())).collect()
}

pub(super) fn numbers(delivery: &Delivery) -> Vec<usize> {
    delivery.events.iter().map(|e| id(e.as_ref().unwrap()).parse().unwrap()).collect()
}

/// Pulls until `n` are there; they are not acknowledged.
pub(super) async fn pull(log: &PubSub, n: usize) -> Delivery {
    soon(async {
        loop {
            match log.pull(n).await {
                Ok(delivery) if delivery.events.len() == n => return delivery,
                _ => {}
            }
        }
    })
    .await
}

/// Asserts that each user's numbers rise.
pub(super) fn in_order(numbers: &[usize]) {
    for user in 0..7 {
        let of_user: Vec<_> = numbers.iter().filter(|n| *n % 7 == user).collect();
        assert!(of_user.is_sorted(), "{of_user:?}");
    }
}

#[tokio::test]
async fn what_is_not_acknowledged_is_given_out_again() {
    let Some(topic) = Topic::shared().await else { return };
    let log = topic.open(patient()).await;
    log.append(&events(0..30)).await.unwrap();
    let first = pull(&log, 30).await;
    let read = numbers(&pull(&log, 10).await);
    assert_eq!(read, numbers(&first)[..10], "not acknowledged, so the same again");
    let receipt = log.pull(10).await.unwrap().receipt.unwrap();
    log.acknowledge(receipt).await.unwrap();
    let rest = numbers(&pull(&log, 20).await);
    let all = [read, rest].concat();
    assert_eq!(all, numbers(&first), "each once, as before");
    log.acknowledge(receipt).await.unwrap();
    assert_eq!(log.pull(30).await.unwrap().events.len(), 20, "a late receipt changes nothing");
}

#[tokio::test]
async fn a_backlog_does_not_fill_the_memory() {
    let Some(topic) = Topic::shared().await else { return };
    let bounds = Bounds { messages: 50, bytes: 1 << 20, ..Bounds::default() };
    let log = topic.open(Tuning { bounds, ..patient() }).await;
    log.append(&events(0..1_000)).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 1_000 {
        let delivery = soon(log.pull(1_000)).await.unwrap();
        let (held, bytes) = log.consuming().await.unwrap().held();
        assert!(held <= 50 && bytes <= bounds.bytes + 10_000, "{held} messages, {bytes} bytes");
        seen.extend(numbers(&delivery));
        if let Some(receipt) = delivery.receipt {
            log.acknowledge(receipt).await.unwrap();
        }
    }
    in_order(&seen);
    assert_eq!(log.consuming().await.unwrap().held(), (0, 0));
    // Bytes bound it as well.
    drop(log);
    let bounds = Bounds { messages: 1_000, bytes: 10_000, ..Bounds::default() };
    let topic = Topic::shared().await.unwrap();
    let log = topic.open(Tuning { bounds, ..patient() }).await;
    log.append(&events(0..100)).await.unwrap();
    let delivery = pull(&log, 10).await;
    let (held, bytes) = log.consuming().await.unwrap().held();
    assert!((10..30).contains(&held) && bytes < 12_000, "{held} messages, {bytes} bytes");
    log.acknowledge(delivery.receipt.unwrap()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_event_becomes_a_dead_letter() {
    let Some(topic) = Topic::shared().await else { return };
    let log = topic.open(patient()).await;
    let raw = log.client.publishers(PATIENCE).await.unwrap().publisher(log.client.topic()).build();
    raw.publish(Message::new().set_data("{\"kind\":").set_attributes([("format", "1")])).await.unwrap();
    raw.publish(Message::new().set_data("{}").set_attributes([("format", "2"), ("from", "later")])).await.unwrap();
    raw.publish(Message::new().set_data(&b"\xff\xfe"[..])).await.unwrap();
    log.append(&events(0..1)).await.unwrap();
    let delivery = pull(&log, 4).await;
    let poison = |needle: &str| {
        let found = delivery.events.iter().filter_map(|e| e.as_ref().err()).find(|p| p.reason.contains(needle));
        found.unwrap_or_else(|| panic!("no {needle} among {delivery:?}")).clone()
    };
    assert_eq!(poison("EOF").body, "{\"kind\":");
    assert_eq!(poison("format '2'").body, "{}");
    assert!(poison("no attribute").body.contains('\u{fffd}'));
    assert_eq!(delivery.events.iter().filter(|e| e.is_ok()).count(), 1);

    // Without the dead-letter topic none of them may go.
    let topics = log.client.topics().await.unwrap();
    topics.delete_topic().set_topic(log.client.dead_topic()).send().await.unwrap();
    assert!(log.acknowledge(delivery.receipt.unwrap()).await.is_err());
    let left = pull(&log, 3).await;
    assert!(left.events.iter().all(|e| e.is_err()), "the event is acknowledged, they are not: {left:?}");
    let subscriptions = log.client.subscriptions().await.unwrap();
    let dead = log.client.dead_subscription();
    subscriptions.delete_subscription().set_subscription(dead.clone()).send().await.unwrap();
    create_topics(&topic.locations).await.unwrap();
    log.acknowledge(left.receipt.unwrap()).await.unwrap();
    assert!(log.pull(10).await.unwrap().events.is_empty());

    let subscriber: Subscriber = log.client.subscriber().await.unwrap();
    let mut stream = subscriber.subscribe(dead).build();
    let mut letters = Vec::new();
    while letters.len() < 3 {
        let (letter, handler) = soon(stream.next()).await.unwrap().unwrap();
        handler.ack();
        letters.push(letter);
    }
    let later = letters.iter().find(|l| l.attributes.contains_key("from")).unwrap();
    assert_eq!((&later.data[..], &*later.attributes["format"]), (&b"{}"[..], "2"));
    assert!(later.attributes["reason"].contains("upgrade"));
    assert!(letters.iter().any(|l| l.data[..] == b"\xff\xfe"[..]), "bytes stay as they are");
}

#[tokio::test]
async fn a_missing_subscription_is_told() {
    let Some(topic) = Topic::shared().await else { return };
    let log = topic.open(patient()).await;
    let subscriptions = log.client.subscriptions().await.unwrap();
    let name = log.client.subscription();
    subscriptions.delete_subscription().set_subscription(name).send().await.unwrap();
    let told = async {
        loop {
            if let Err(e) = log.pull(1).await {
                return e.to_string();
            }
        }
    };
    assert!(soon(told).await.contains("Pub/Sub"));
    let Err(e) = PubSub::open(&topic.named(), &topic.locations).await else { panic!("opened") };
    let e = e.to_string();
    assert!(e.starts_with("events = 'pubsub://test/") && e.contains("croupier admin create-topics"), "{e}");
}
