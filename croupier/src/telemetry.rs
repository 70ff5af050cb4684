//! What the process tells of itself to whoever looks after it: its log, and spans of a sample of its requests.

use crate::cli::Failure;
use crate::settings::Settings;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line, for machines.
    Json,
}

/// Starts the log, on standard error.
pub(crate) fn log(settings: &Settings) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|e| Failure::unusable("log", &settings.log, &format!("must be a level or a filter: {e}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
    Ok(())
}

/// Starts sending spans, if the settings say where.
pub(crate) fn trace(settings: &Settings) -> Result<Traces, Failure> {
    match &settings.otlp_endpoint {
        None => Ok(Traces(None)),
        Some(endpoint) => otlp::start(endpoint, settings.trace_sample).map(|sending| Traces(Some(sending))),
    }
}

/// Spans on their way.
pub(crate) struct Traces(Option<otlp::Sending>);

impl Traces {
    /// Sends what is left.
    pub(crate) async fn end(self) {
        if let Some(sending) = self.0 {
            sending.end().await;
        }
    }
}

/// OTLP, where its clients are built anyway.
#[cfg(feature = "cloud")]
mod otlp {
    use super::Failure;
    use async_trait::async_trait;
    use bytes::Bytes;
    use http::{Request, Response};
    use opentelemetry::global;
    use opentelemetry_http::{HttpClient, HttpError};
    use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use std::time::Duration;
    use tokio::runtime::Handle;

    /// How long the collector may take.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// Spans are gathered on a thread of the library's, and sent every few seconds; what is too much is dropped.
    pub(super) struct Sending(SdkTracerProvider);

    pub(super) fn start(endpoint: &str, sample: f64) -> Result<Sending, Failure> {
        let client = Client { http: reqwest::Client::new(), runtime: Handle::current() };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .with_timeout(PATIENCE)
            .build()
            .map_err(|e| Failure::unusable("otlp_endpoint", endpoint, &e.to_string()))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample))))
            .with_resource(Resource::builder().with_service_name("croupier").build())
            .build();
        global::set_tracer_provider(provider.clone());
        global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Sending(provider))
    }

    impl Sending {
        pub(super) async fn end(self) {
            let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(PATIENCE)).await;
            if let Ok(Err(e)) = ended {
                tracing::warn!("the last spans were not sent: {e}");
            }
        }
    }

    /// The library's thread has no runtime: requests are made on ours.
    #[derive(Debug)]
    struct Client {
        http: reqwest::Client,
        runtime: Handle,
    }

    #[async_trait]
    impl HttpClient for Client {
        async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
            let request = reqwest::Request::try_from(request)?;
            let http = self.http.clone();
            let sent = self.runtime.spawn(async move {
                let answer = http.execute(request).await?;
                Ok::<_, reqwest::Error>((answer.status(), answer.bytes().await?))
            });
            let (status, body) = sent.await??;
            Ok(Response::builder().status(status).body(body)?)
        }
    }
}

/// Its place in a build without.
#[cfg(not(feature = "cloud"))]
mod otlp {
    use super::Failure;

    pub(super) struct Sending;

    pub(super) fn start(endpoint: &str, _: f64) -> Result<Sending, Failure> {
        let why = "this build sends no traces: take a released one, or build with '--features cloud'";
        Err(Failure::unusable("otlp_endpoint", endpoint, why))
    }

    impl Sending {
        pub(super) async fn end(self) {}
    }
}
