//! How Pub/Sub is reached: names, credentials, and what its errors mean.

use crate::locations::{InProject, Locations, public};
use crate::{Result, StoreError};
use google_cloud_auth::credentials::{Builder, Credentials, anonymous};
use google_cloud_gax::client_builder;
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::options::RequestOptionsBuilder;
use google_cloud_gax::retry_policy::{NeverRetry, RetryPolicyExt};
use google_cloud_pubsub::client::{BasePublisher, Subscriber, SubscriptionAdmin, TopicAdmin};
use google_cloud_pubsub::retry_policy::RetryableErrors;
use std::time::Duration;

/// How long one administrative request may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A topic with what belongs to it, and how to reach it.
#[derive(Clone)]
pub(super) struct Client {
    url: String,
    at: InProject,
    credentials: Credentials,
    endpoint: Option<String>,
}

/// Applies the endpoint and the credentials to any of the library's builders; they share no trait.
macro_rules! build {
    ($client:expr, $builder:expr) => {{
        let builder = $builder.with_credentials($client.credentials.clone());
        let builder = match &$client.endpoint {
            Some(endpoint) => builder.with_endpoint(endpoint.clone()),
            None => builder,
        };
        builder.build().await.map_err(|e| $client.unusable(&e))?
    }};
}

impl Client {
    /// Finds credentials; asks nobody yet.
    pub(super) fn new(at: &InProject, locations: &Locations) -> Result<Self> {
        crate::choose_cryptography();
        let url = public(&locations.events);
        let endpoint = locations.pubsub_emulator.as_ref().map(|address| format!("http://{address}"));
        let credentials = match endpoint {
            Some(_) => anonymous::Builder::new().build(),
            None => Builder::default().build().map_err(|e| no_credentials(&url, &e.to_string()))?,
        };
        Ok(Self { url, at: at.clone(), credentials, endpoint })
    }

    /// The setting, as it may be shown.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn topic(&self) -> String {
        format!("projects/{}/topics/{}", self.at.project, self.at.name)
    }

    /// Where messages go that are no events.
    pub(super) fn dead_topic(&self) -> String {
        format!("{}-dead", self.topic())
    }

    /// What the updater reads.
    pub(super) fn subscription(&self) -> String {
        format!("projects/{}/subscriptions/{}-updater", self.at.project, self.at.name)
    }

    /// What keeps the dead letters.
    pub(super) fn dead_subscription(&self) -> String {
        format!("projects/{}/subscriptions/{}-dead", self.at.project, self.at.name)
    }

    /// Publishes to any topic; a request gets `limit` for all its attempts.
    pub(super) async fn publishers(&self, limit: Duration) -> Result<BasePublisher> {
        let builder = BasePublisher::builder().with_retry_policy(RetryableErrors.with_time_limit(limit));
        Ok(build!(self, builder))
    }

    pub(super) async fn subscriber(&self) -> Result<Subscriber> {
        Ok(build!(self, Subscriber::builder()))
    }

    pub(super) async fn topics(&self) -> Result<TopicAdmin> {
        Ok(build!(self, TopicAdmin::builder()))
    }

    pub(super) async fn subscriptions(&self) -> Result<SubscriptionAdmin> {
        Ok(build!(self, SubscriptionAdmin::builder()))
    }

    /// Finds out what would keep appends or their reader from ever working.
    pub(super) async fn check(&self) -> Result<()> {
        let late = |_| StoreError::Remote { service: "Pub/Sub", why: "no answer".into() };
        tokio::time::timeout(2 * PATIENCE, self.look()).await.map_err(late)?
    }

    async fn look(&self) -> Result<()> {
        let topic = self.topics().await?.get_topic().set_topic(self.topic());
        once(topic).send().await.map_err(|e| self.failed(&self.topic(), &e))?;
        // Without its subscription the topic would drop events.
        let subscription = self.subscriptions().await?.get_subscription().set_subscription(self.subscription());
        match once(subscription).send().await {
            // A replica that only publishes need not be allowed to look at it.
            Err(e) if code(&e) == Some(Code::PermissionDenied) => Ok(()),
            result => result.map(drop).map_err(|e| self.failed(&self.subscription(), &e)),
        }
    }

    /// What a failed request about `thing` means: a setting that somebody must change, or a service that is away.
    pub(super) fn failed(&self, thing: &str, e: &google_cloud_gax::error::Error) -> StoreError {
        let said = line(&e.to_string());
        let reason = match code(e) {
            Some(Code::NotFound) => format!(
                "{thing} does not exist: run 'croupier admin create-topics', or correct the project or the topic ({said})"
            ),
            Some(Code::PermissionDenied) => format!(
                "access to {thing} is denied: grant this service account the roles pubsub.viewer, pubsub.publisher and, \
                 for the updater, pubsub.subscriber ({said})"
            ),
            Some(Code::InvalidArgument) => format!("{thing} is no name that Pub/Sub takes ({said})"),
            Some(Code::Unauthenticated) => return no_credentials(&self.url, &said),
            _ if e.is_authentication() => return no_credentials(&self.url, &said),
            _ => return StoreError::Remote { service: "Pub/Sub", why: said },
        };
        StoreError::Setting { setting: "events", value: self.url.clone(), reason }
    }

    fn unusable(&self, e: &client_builder::Error) -> StoreError {
        let reason = format!("the Pub/Sub client cannot be made: {}", line(&e.to_string()));
        StoreError::Setting { setting: "events", value: self.url.clone(), reason }
    }
}

/// A request without retries, with a deadline.
pub(super) fn once<B: RequestOptionsBuilder>(request: B) -> B {
    request.with_retry_policy(NeverRetry).with_attempt_timeout(PATIENCE)
}

/// What the service said, in the terms of gRPC.
pub(super) fn code(e: &google_cloud_gax::error::Error) -> Option<Code> {
    match (e.status(), e.http_status_code()) {
        (Some(status), _) => Some(status.code),
        (None, Some(400)) => Some(Code::InvalidArgument),
        (None, Some(401)) => Some(Code::Unauthenticated),
        (None, Some(403)) => Some(Code::PermissionDenied),
        (None, Some(404)) => Some(Code::NotFound),
        _ => None,
    }
}

fn no_credentials(url: &str, said: &str) -> StoreError {
    let reason = format!(
        "there are no usable Google credentials: give the machine a service account, name its key file in \
         GOOGLE_APPLICATION_CREDENTIALS, or run 'gcloud auth application-default login' ({})",
        line(said)
    );
    StoreError::Setting { setting: "events", value: url.to_owned(), reason }
}

/// In one line.
pub(super) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
