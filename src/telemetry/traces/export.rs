//! From the environment to a collector: the standard variables of OpenTelemetry, a bounded queue, OTLP over HTTP in protobuf.
//!
//! A collector that is away or hangs costs spans and nothing else: they wait in a queue of 2,048 (`OTEL_BSP_MAX_QUEUE_SIZE`), what
//! does not fit is dropped, and the log says so once a minute.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::TRACER;
use crate::telemetry::{Throttle, chain};

/// How long the end of the program waits for the last spans.
const FLUSH: Duration = Duration::from_secs(2);

/// How long a collector has, unless the environment says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer of a collector that is read, in bytes.
const LARGEST_ANSWER: usize = 64 * 1024;

/// What `OTEL_TRACES_SAMPLER` may be. The SDK takes another for the default without a word.
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

/// What runs while traces are recorded; the last spans are sent when it is dropped.
#[must_use = "the last spans are sent when it is dropped"]
#[derive(Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && provider.shutdown_with_timeout(FLUSH).is_err()
        {
            tracing::warn!("the last spans did not reach the collector in time");
        }
    }
}

/// Starts recording where the environment names a collector; within a runtime. A variable that cannot be used leaves traces off,
/// with a warning: the gateway works without them.
pub fn start(variable: impl Fn(&str) -> Option<String>) -> Traces {
    let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let is = |name: &str, value: &str| given(name).is_some_and(|given| given.eq_ignore_ascii_case(value));
    let endpoint =
        given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| given("OTEL_EXPORTER_OTLP_ENDPOINT"));
    if endpoint.is_none() || is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return Traces::default();
    }
    let provider = match provider(&given) {
        Ok(provider) => provider,
        Err(error) => {
            tracing::warn!(error, "traces are off: the variables OTEL_… cannot be used");
            return Traces::default();
        }
    };
    if TRACER.set(provider.tracer("emgate")).is_err() {
        return Traces::default();
    }
    tracing::info!("traces are sent to the collector of OTEL_EXPORTER_OTLP_ENDPOINT");
    Traces(Some(provider))
}

fn provider(given: &impl Fn(&str) -> Option<String>) -> Result<SdkTracerProvider, String> {
    let timeout = given("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT").or_else(|| given("OTEL_EXPORTER_OTLP_TIMEOUT"));
    let timeout = match timeout.map(|text| text.trim().parse().map(Duration::from_millis)) {
        None => TIMEOUT,
        Some(Ok(timeout)) => timeout,
        Some(Err(_)) => return Err("the time-out is not a number of milliseconds".to_owned()),
    };
    check_sampler(given)?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .build()
        .map_err(|error| chain(&error))?;
    let last = LastFailure::default();
    let wire = Wire {
        client,
        runtime: Handle::current(),
        last: last.clone(),
    };
    // The rest of the variables are read here: addresses, headers, compression.
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(wire)
        .with_timeout(timeout)
        .build()
        .map_err(|_| "an address or header is not valid".to_owned())?;
    let exporter = Reporting {
        exporter,
        last,
        reminder: Mutex::new(Throttle::reminder()),
    };
    // Here the sampler, and the sizes of the queue.
    Ok(SdkTracerProvider::builder()
        .with_resource(resource(given))
        .with_batch_exporter(exporter)
        .build())
}

fn check_sampler(given: &impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let Some(sampler) = given("OTEL_TRACES_SAMPLER") else {
        return Ok(());
    };
    if !SAMPLERS.contains(&sampler.as_str()) {
        return Err(format!("OTEL_TRACES_SAMPLER is none of {}", SAMPLERS.join(", ")));
    }
    let ratio = given("OTEL_TRACES_SAMPLER_ARG").filter(|_| sampler.ends_with("ratio"));
    let is_share = |ratio: &String| {
        ratio
            .trim()
            .parse()
            .is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio))
    };
    match ratio {
        Some(ratio) if !is_share(&ratio) => {
            Err("OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1".to_owned())
        }
        _ => Ok(()),
    }
}

/// What sends the spans, as the environment describes it.
fn resource(given: &impl Fn(&str) -> Option<String>) -> Resource {
    let attributes = given("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let is_named = attributes
        .split(',')
        .any(|pair| pair.trim_start().starts_with("service.name="));
    let own = (!is_named).then(|| env!("CARGO_PKG_NAME").to_owned());
    let builder =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match given("OTEL_SERVICE_NAME").or(own) {
        Some(name) => builder.with_service_name(name).build(),
        None => builder.build(),
    }
}

/// Why the last request failed, in words that hold no address and no header.
#[derive(Debug, Clone, Default)]
struct LastFailure(Arc<Mutex<String>>);

impl LastFailure {
    fn note(&self, why: String) {
        *self.0.lock() = why;
    }
}

/// The wire to the collector. The thread that exports has no runtime of its own, so that requests run in the program's.
#[derive(Debug)]
struct Wire {
    client: reqwest::Client,
    runtime: Handle,
    last: LastFailure,
}

#[async_trait]
impl HttpClient for Wire {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let sending = self.runtime.spawn(answer(self.client.clone(), request));
        let answer = match sending.await {
            Ok(answer) => answer.map_err(|error| chain(&error.without_url())),
            Err(_) => Err("the program ends".to_owned()),
        };
        match &answer {
            Ok(answer) if !answer.status().is_success() => {
                self.last.note(format!("it answers {}", answer.status().as_u16()));
            }
            Ok(_) => {}
            Err(why) => self.last.note(why.clone()),
        }
        answer.map_err(HttpError::from)
    }
}

async fn answer(
    client: reqwest::Client,
    request: http::Request<Bytes>,
) -> Result<http::Response<Bytes>, reqwest::Error> {
    let (parts, body) = request.into_parts();
    let mut answer = client
        .request(parts.method, parts.uri.to_string())
        .headers(parts.headers)
        .body(body)
        .send()
        .await?;
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    let mut body = Vec::new();
    while body.len() < LARGEST_ANSWER {
        match answer.chunk().await? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => break,
        }
    }
    *response.body_mut() = body.into();
    Ok(response)
}

/// Tells of failures in the log, once a minute.
#[derive(Debug)]
struct Reporting {
    exporter: opentelemetry_otlp::SpanExporter,
    last: LastFailure,
    reminder: Mutex<Throttle>,
}

impl SpanExporter for Reporting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.exporter.export(batch).await;
        if outcome.is_err() && self.reminder.lock().due() {
            let reason = self.last.0.lock().clone();
            tracing::warn!(
                spans,
                reason,
                "spans were lost: the collector of traces does not take them"
            );
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, None, true)]
    #[case(Some("always_off"), None, true)]
    #[case(Some("parentbased_traceidratio"), Some("0.1"), true)]
    #[case(Some("traceidratio"), Some("10"), false)]
    #[case(Some("traceidratio"), Some("a tenth"), false)]
    #[case(Some("always_on"), Some("unused"), true)]
    #[case(Some("sometimes"), None, false)]
    #[case(Some("parentbased_jaeger_remote"), None, false)]
    fn a_sampler_that_would_be_passed_over_is_refused(
        #[case] sampler: Option<&str>,
        #[case] argument: Option<&str>,
        #[case] is_taken: bool,
    ) {
        let given = |name: &str| {
            let value = match name {
                "OTEL_TRACES_SAMPLER" => sampler,
                _ => argument,
            };
            value.map(str::to_owned)
        };
        assert_eq!(check_sampler(&given).is_ok(), is_taken);
    }
}
