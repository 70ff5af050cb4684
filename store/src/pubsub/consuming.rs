//! Events on their way out of Pub/Sub: held until they are acknowledged.

use super::client::line;
use super::dead::DeadLetters;
use super::message::{decode, trace_of};
use crate::events::{Delivery, Receipt};
use crate::{Result, StoreError};
use futures::future::join_all;
use google_cloud_pubsub::client::Subscriber;
use google_cloud_pubsub::model::Message;
use google_cloud_pubsub::subscriber::handler::Handler;
use google_cloud_pubsub::subscriber::{MessageStream, ShutdownBehavior};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long a pull waits for news.
const WAIT: Duration = Duration::from_millis(150);
/// How long the first waits, since the connection is still being made.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Pauses before a stream that failed is opened again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long Pub/Sub may take to notice that a stream has ended.
const END: Duration = Duration::from_millis(200);
/// How long Pub/Sub may take at the end to take acknowledgements, and back what is not acknowledged.
const FAREWELL: Duration = Duration::from_secs(3);
/// What a message takes beside its data, about: its ids, its lease, its place here.
const OVERHEAD: usize = 512;

/// What is held at most; one message more may be on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
    /// For how long a message is ours at a time, 10 s at least; the library extends it while we hold the message. What a
    /// process that was killed held is delivered again after this.
    pub(super) lease: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { messages: 20_000, bytes: 64 << 20, lease: Duration::from_secs(10) }
    }
}

/// A message that is not acknowledged.
struct Held {
    number: u64,
    message: Message,
    handler: Handler,
    /// Why it is no event, once that is known.
    reason: Option<String>,
}

impl Held {
    fn bytes(&self) -> usize {
        self.message.data.len() + OVERHEAD
    }
}

#[derive(Default)]
struct Buffer {
    /// In order of arrival, which is the order in which they are given out, again and again.
    held: VecDeque<Held>,
    bytes: usize,
    /// Number of the next message.
    next: u64,
    /// How many of those held were given out.
    served: usize,
    /// Whether anything was asked for yet.
    asked: bool,
    /// Why the last stream ended, until somebody is told.
    failure: Option<String>,
}

impl Buffer {
    fn has_room(&self, bounds: Bounds) -> bool {
        self.held.len() < bounds.messages && self.bytes < bounds.bytes
    }

    fn hold(&mut self, message: Message, handler: Handler) {
        let held = Held { number: self.next, message, handler, reason: None };
        self.next += 1;
        self.bytes += held.bytes();
        self.failure = None;
        self.held.push_back(held);
    }

    /// The stream is over: what it gave comes again with the next, and a receipt for that is stale from now on.
    fn over(&mut self, failure: Option<String>) {
        *self = Self { next: self.next, asked: self.asked, failure, ..Self::default() };
    }
}

/// The messages between Pub/Sub and the database.
struct Shared {
    buffer: Mutex<Buffer>,
    /// Rung when there is news for who pulls.
    news: Notify,
    /// Rung when there is room.
    room: Notify,
    /// Rung to end the stream.
    end: Notify,
}

impl Shared {
    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reader of one subscription.
pub(super) struct Consuming {
    shared: Arc<Shared>,
    dead: DeadLetters,
    /// One acknowledgement at a time, so that a dead letter is sent once.
    acknowledging: tokio::sync::Mutex<()>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    /// Of its own, so that all that the client does behind our backs ends with it. What is still held then, since nobody
    /// closed this, comes again when its lease is over.
    runtime: Option<Runtime>,
}

impl Consuming {
    pub(super) fn start(
        subscriber: Subscriber,
        subscription: String,
        dead: DeadLetters,
        bounds: Bounds,
    ) -> Result<Self> {
        let shared =
            Arc::new(Shared { buffer: Mutex::default(), news: Notify::new(), room: Notify::new(), end: Notify::new() });
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("pubsub")
            .enable_all()
            .build()
            .map_err(|e| StoreError::Remote { service: "Pub/Sub", why: format!("no thread to read with: {e}") })?;
        let task = runtime.spawn(fill(shared.clone(), subscriber, subscription, bounds));
        Ok(Self {
            shared,
            dead,
            acknowledging: tokio::sync::Mutex::default(),
            task: tokio::sync::Mutex::new(Some(task)),
            runtime: Some(runtime),
        })
    }

    /// What is held, the oldest first; waits a little if all of it was given out before.
    pub(super) async fn pull(&self, max: usize) -> Result<Delivery> {
        let mut delivery = Delivery::default();
        if max == 0 {
            return Ok(delivery);
        }
        let asked = std::mem::replace(&mut self.shared.buffer().asked, true);
        // Nothing new is an answer too.
        let _ = timeout(if asked { WAIT } else { FIRST_WAIT }, self.news(max)).await;
        let mut buffer = self.shared.buffer();
        if let (true, Some(why)) = (buffer.held.is_empty(), buffer.failure.take()) {
            return Err(StoreError::Remote { service: "Pub/Sub", why });
        }
        for held in buffer.held.iter_mut().take(max) {
            let event = decode(&held.message);
            delivery.traces.extend(trace_of(&held.message));
            held.reason = event.as_ref().err().map(|poison| poison.reason.clone());
            delivery.events.push(event);
            delivery.receipt = Some(Receipt(held.number));
        }
        buffer.served = buffer.served.max(delivery.events.len());
        Ok(delivery)
    }

    /// Returns when a pull of `max` would give more than the last, or fail.
    async fn news(&self, max: usize) {
        loop {
            {
                let buffer = self.shared.buffer();
                if buffer.held.len() > buffer.served || buffer.held.len() >= max || buffer.failure.is_some() {
                    return;
                }
            }
            self.shared.news.notified().await;
        }
    }

    /// Lets go of what `receipt` stands for; messages that are no events become dead letters first.
    pub(super) async fn acknowledge(&self, receipt: Receipt) -> Result<()> {
        let _one = self.acknowledging.lock().await;
        let letters: Vec<(u64, Message, String)> = {
            let buffer = self.shared.buffer();
            let poison = buffer.held.iter().take_while(|held| held.number <= receipt.0);
            poison.filter_map(|h| Some((h.number, h.message.clone(), h.reason.clone()?))).collect()
        };
        let sent = letters.iter().map(|(_, message, reason)| self.dead.publish(message, reason));
        let (mut kept, mut failure) = (HashSet::new(), None);
        for (result, (number, ..)) in join_all(sent).await.into_iter().zip(&letters) {
            if let Err(e) = result {
                kept.insert(*number);
                failure = Some(e);
            }
        }
        let mut buffer = self.shared.buffer();
        let known = buffer.held.partition_point(|held| held.number <= receipt.0);
        buffer.served = buffer.served.saturating_sub(known);
        let known: Vec<Held> = buffer.held.drain(..known).collect();
        for held in known.into_iter().rev() {
            if kept.contains(&held.number) {
                buffer.served += 1;
                buffer.held.push_front(held);
            } else {
                buffer.bytes -= held.bytes();
                held.handler.ack();
            }
        }
        drop(buffer);
        self.shared.room.notify_one();
        failure.map_or(Ok(()), Err)
    }

    /// Ends the stream; returns when Pub/Sub knows of all acknowledgements and has back what is not acknowledged, so that
    /// another reader has that at once. If it does not answer, that comes again when its lease is over.
    pub(super) async fn close(&self) {
        self.shared.end.notify_one();
        if let Some(task) = self.task.lock().await.take() {
            // A panic there was reported there.
            let _ = task.await;
        }
    }

    /// How many messages and bytes are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let buffer = self.shared.buffer();
        (buffer.held.len(), buffer.bytes)
    }
}

impl Drop for Consuming {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Fills the buffer from one stream after another.
async fn fill(shared: Arc<Shared>, subscriber: Subscriber, subscription: String, bounds: Bounds) {
    let mut pause = PAUSES.0;
    let most = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    loop {
        let mut stream = subscriber
            .subscribe(subscription.clone())
            .set_max_outstanding_messages(most(bounds.messages))
            .set_max_outstanding_bytes(most(bounds.bytes))
            .set_max_lease_extension(bounds.lease)
            // What is still held when a stream ends is given back by letting go of it.
            .set_shutdown_behavior(ShutdownBehavior::WaitForProcessing)
            .build();
        let why = loop {
            // What the stream's bounds let through is held back here: redelivery, or a service that keeps none.
            let room = shared.buffer().has_room(bounds);
            let next = tokio::select! {
                () = shared.end.notified() => {
                    return give_back(&shared, stream).await;
                }
                () = shared.room.notified(), if !room => continue,
                next = stream.next(), if room => next,
            };
            match next {
                Some(Ok((message, handler))) => {
                    pause = PAUSES.0;
                    shared.buffer().hold(message, handler);
                    shared.news.notify_one();
                }
                Some(Err(e)) => break line(&e.to_string()),
                None => break "the stream ended".into(),
            }
        };
        shared.buffer().over(Some(why));
        shared.news.notify_one();
        tokio::select! {
            () = shared.end.notified() => return,
            () = sleep(pause) => pause = (pause * 2).min(PAUSES.1),
        }
    }
}

/// Ends a stream, and gives back what it gave once that is known: else it would come again into this stream.
async fn give_back(shared: &Shared, stream: MessageStream) {
    let token = stream.shutdown_token();
    drop(stream);
    sleep(END).await;
    shared.buffer().over(None);
    if timeout(FAREWELL, token.shutdown()).await.is_err() {
        tracing::warn!("Pub/Sub did not answer at the end: what was not acknowledged comes again later");
    }
}
