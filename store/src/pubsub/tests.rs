//! The log against the emulator, and against services that are slow, away or come back empty.

use super::*;
use crate::conformance::Place;
use crate::conformance::proxy::Proxy;
use crate::conformance::services::{Kind, Service};
use crate::{StoreError, Stores};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

mod consuming;
mod format;
mod outages;

/// Longest that anything awaited here may take: a hang fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic of its own at an address.
struct Topic {
    dir: TempDir,
    locations: Locations,
}

impl Topic {
    fn at(address: impl ToString) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().unwrap();
        let events = format!("pubsub://test/topic-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let pubsub_emulator = Some(address.to_string());
        let locations = Locations { events, pubsub_emulator, ..Locations::in_dir(dir.path()) };
        Self { dir, locations }
    }

    /// A topic of the shared emulator, with its subscriptions; none if there is no emulator.
    async fn shared() -> Option<Self> {
        let topic = Self::at(Service::shared(Kind::PubSub)?.address());
        create_topics(&topic.locations).await.unwrap();
        Some(topic)
    }

    fn named(&self) -> InProject {
        let name = self.locations.events.rsplit('/').next().unwrap().to_owned();
        InProject { project: "test".into(), name }
    }

    async fn open(&self, tuning: Tuning) -> PubSub {
        PubSub::tuned(&self.named(), &self.locations, tuning).await.unwrap()
    }
}

/// Appends wait for Pub/Sub as long as it takes; what a reader leaves comes again after the shortest lease that there is.
fn patient() -> Tuning {
    let bounds = Bounds { lease: Duration::from_secs(10), ..Bounds::default() };
    Tuning { deadline: PATIENCE, bounds }
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

/// A topic of the shared emulator behind a proxy, beside the embedded stores. The proxy breaks what is left of the last
/// opening at the next, and tells the emulator of the readers that have gone.
struct Emulator(Topic, OnceCell<Proxy>);

impl Default for Emulator {
    fn default() -> Self {
        Self(Topic::at(Service::shared(Kind::PubSub).unwrap().address()), OnceCell::new())
    }
}

impl Emulator {
    /// Opens a topic that was open before. What an append was at when it was given up ends on its own, and holds the spool
    /// until then.
    async fn reopen(topic: &Topic, locations: &Locations) -> PubSub {
        soon(async {
            loop {
                match PubSub::tuned(&topic.named(), locations, patient()).await {
                    Err(StoreError::Setting { setting: "spool", .. }) => tokio::task::yield_now().await,
                    opened => return opened.unwrap(),
                }
            }
        })
        .await
    }
}

impl Place for Emulator {
    const ONE_ORDER: bool = false;

    fn available() -> bool {
        Service::shared(Kind::PubSub).is_some()
    }

    async fn open(&self) -> Stores {
        let Self(topic, proxy) = self;
        let new = async || {
            create_topics(&topic.locations).await.unwrap();
            Proxy::before_pubsub(Service::shared(Kind::PubSub).unwrap().address()).await
        };
        let proxy = proxy.get_or_init(new).await;
        proxy.reset();
        let events = Locations::in_dir(topic.dir.path());
        let stores = crate::open(&events).await.unwrap();
        let pubsub_emulator = Some(proxy.address().to_string());
        let log = Self::reopen(topic, &Locations { pubsub_emulator, ..topic.locations.clone() }).await;
        Stores { events: Arc::new(log), ..stores }
    }
}

crate::conformance!(event_log: Emulator);
