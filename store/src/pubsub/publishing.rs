//! Events on their way into Pub/Sub: sent at once, or by way of the spool while it does not answer.
//!
//! An event may arrive twice: published late although it was spooled meanwhile, or published again with the rest of a
//! batch that failed half-way. Ids make that harmless.

use super::client::{Client, line};
use super::dead::DeadLetters;
use super::message::{encode, traced};
use super::metrics;
use super::room::{Load, Room, Way};
use crate::embedded::Embedded;
use crate::{EventLog, Result, StoreError};
use bandit::Event;
use futures::future::join_all;
use google_cloud_pubsub::client::Publisher;
use google_cloud_pubsub::model::Message;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long the library collects messages for a request.
const GATHER: Duration = Duration::from_millis(5);
/// Most bytes that are handed to the library, whose own queue knows no bound.
const MOST_IN_FLIGHT: u32 = 32 << 20;
/// What a message takes beside its data, about.
const OVERHEAD: usize = 256;
/// Events that are replayed together.
const REPLAY: usize = 2_000;
/// Pauses between attempts to replay, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a request may take with all its attempts: longer than appends wait, so that what is slow is replayed still.
const REQUEST: Duration = Duration::from_secs(5);
/// Longest that a replayed batch is waited for: the library gives up each of its requests long before.
const REPLAY_PATIENCE: Duration = Duration::from_secs(60);
/// What was let into the spool is written by then, or soon after.
const SOON: Duration = Duration::from_millis(5);

/// The way into one topic.
pub(super) struct Publishing {
    client: Client,
    publisher: Mutex<Publisher>,
    spool: Arc<Embedded>,
    room: Room,
    deadline: Duration,
    in_flight: Arc<Semaphore>,
    /// Rung when something went into the spool.
    spooled: Notify,
}

impl Publishing {
    pub(super) async fn new(client: Client, spool: Arc<Embedded>, most: u64, deadline: Duration) -> Result<Self> {
        let waiting = Load { events: spool.backlog().await?.unwrap_or(0), bytes: spool.waiting_bytes()? };
        if waiting.events > 0 {
            tracing::info!(
                events = waiting.events,
                "an earlier process left events in the spool: they are published now"
            );
        }
        Ok(Self {
            publisher: Mutex::new(publisher(&client).await?),
            client,
            spool,
            room: Room::new(most, waiting),
            deadline,
            in_flight: Arc::new(Semaphore::new(MOST_IN_FLIGHT as usize)),
            spooled: Notify::new(),
        })
    }

    fn publisher(&self) -> Publisher {
        self.publisher.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    pub(super) fn spool(&self) -> &Embedded {
        &self.spool
    }

    /// Appends events; they are safe when it returns. Those that go by way of the spool leave their trace.
    pub(super) async fn append(self: &Arc<Self>, events: &[Event], trace: Option<&str>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let messages: Vec<Message> = events.iter().map(|e| Ok(traced(encode(e)?, trace))).collect::<Result<_>>()?;
        let load = load(&messages);
        let (this, events, way) = (self.clone(), events.to_vec(), self.room.admit(load)?);
        // On a task of its own: whoever gives up waiting must not leave half of them behind.
        let kept = tokio::spawn(async move {
            match way {
                Way::Spool => this.put_in_spool(&events, load).await,
                Way::Service => this.send_or_spool(events, messages, load).await,
            }
        });
        kept.await.map_err(|e| StoreError::Remote { service: "Pub/Sub", why: e.to_string() })?
    }

    async fn send_or_spool(&self, mut events: Vec<Event>, messages: Vec<Message>, load: Load) -> Result<()> {
        let lengths: Vec<usize> = messages.iter().map(|m| m.data.len()).collect();
        let failed = match self.send(messages, load).await {
            Ok(results) => results,
            // What became of each is not known.
            Err(why) => vec![Some(why); events.len()],
        };
        let Some(why) = failed.iter().flatten().next() else {
            self.room.arrived(load.bytes);
            return Ok(());
        };
        let left = failed.iter().zip(lengths).filter(|(failed, _)| failed.is_some());
        let left = left.fold(Load::default(), |sum, (_, length)| sum.with(length));
        let mut failures = failed.iter();
        events.retain(|_| failures.next().is_some_and(Option::is_some));
        self.room.turn(load.bytes, left, why);
        self.put_in_spool(&events, left).await
    }

    /// Publishes within the deadline; for each message why it failed, if it did.
    async fn send(&self, messages: Vec<Message>, load: Load) -> std::result::Result<Vec<Option<String>>, String> {
        let end = Instant::now() + self.deadline;
        let slow = || format!("no answer within {} ms", self.deadline.as_millis());
        let bytes = load.bytes + messages.len() as u64 * OVERHEAD as u64;
        let weight = u32::try_from(bytes).unwrap_or(MOST_IN_FLIGHT).min(MOST_IN_FLIGHT);
        let permit = timeout_at(end, self.in_flight.clone().acquire_many_owned(weight)).await;
        let Ok(Ok(permit)) = permit else { return Err(slow()) };
        if self.room.waiting().events > 0 {
            return Err(self.room.away().unwrap_or_else(slow));
        }
        let publisher = self.publisher();
        let mut all = Box::pin(join_all(messages.into_iter().map(|m| publisher.publish(m))));
        match timeout_at(end, &mut all).await {
            Ok(results) => Ok(results.into_iter().map(|r| r.err().map(|e| line(&e.to_string()))).collect()),
            Err(_) => {
                // The library still holds them, so they still count.
                tokio::spawn(async move {
                    all.await;
                    drop(permit);
                });
                Err(slow())
            }
        }
    }

    /// Puts events in the spool, which knows already that `load` is on its way.
    async fn put_in_spool(&self, events: &[Event], load: Load) -> Result<()> {
        let result = self.spool.append(events).await;
        match &result {
            Ok(()) => metrics::spooled(load),
            Err(_) => self.room.lost(load),
        }
        self.spooled.notify_one();
        result
    }

    /// Publishes what the spool holds whenever it holds something.
    pub(super) async fn replay(&self) {
        let mut pause = PAUSES.0;
        let mut healthy = true;
        loop {
            if self.room.waiting().events == 0 {
                self.spooled.notified().await;
                // Something made an append turn to the spool.
                healthy = false;
                continue;
            }
            match self.replay_some(healthy).await {
                Ok(()) => (pause, healthy) = (PAUSES.0, true),
                Err(e) => {
                    self.room.gone(&e.to_string());
                    healthy = false;
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    /// Publishes the oldest of the spool, and takes them out once Pub/Sub has them.
    async fn replay_some(&self, healthy: bool) -> Result<()> {
        if !healthy {
            // A publisher takes no more messages of a key of which one failed, nor does it notice that its connection
            // is dead.
            let fresh = publisher(&self.client).await?;
            *self.publisher.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        let delivery = self.spool.pull(REPLAY).await?;
        let Some(receipt) = delivery.receipt else {
            sleep(SOON).await;
            return Ok(());
        };
        let events = delivery.events.len() as u64;
        let mut messages = Vec::with_capacity(delivery.events.len());
        for event in delivery.events {
            match event {
                Ok(event) => messages.push(encode(&event)?),
                Err(poison) => {
                    let dead = DeadLetters::open(&self.client).await?;
                    dead.publish(&Message::new().set_data(poison.body), &poison.reason).await?;
                }
            }
        }
        let load = Load { events, ..load(&messages) };
        let publisher = self.publisher();
        let all = join_all(messages.into_iter().map(|m| publisher.publish(m)));
        let results = timeout(REPLAY_PATIENCE, all).await.map_err(|_| away("no answer"))?;
        if let Some(e) = results.into_iter().find_map(std::result::Result::err) {
            return Err(away(&e.to_string()));
        }
        self.spool.acknowledge(receipt).await?;
        metrics::replayed(load);
        self.room.replayed(load);
        Ok(())
    }

    /// Waits until the library has no message left.
    pub(super) async fn flush(&self) {
        self.publisher().flush().await;
    }
}

/// A publisher with a connection of its own.
async fn publisher(client: &Client) -> Result<Publisher> {
    Ok(client.publishers(REQUEST).await?.publisher(client.topic()).set_delay_threshold(GATHER).build())
}

fn away(why: &str) -> StoreError {
    StoreError::Remote { service: "Pub/Sub", why: line(why) }
}

fn load(messages: &[Message]) -> Load {
    messages.iter().fold(Load::default(), |sum, m| sum.with(m.data.len()))
}
