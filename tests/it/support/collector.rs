//! A collector of traces on loopback: reads what it is sent by OTLP over HTTP in protobuf, or fails in some way.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;

/// A span as it arrived, ids in hex.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub name: String,
    pub trace: String,
    pub id: String,
    /// Empty for the first of a trace.
    pub parent: String,
    pub attributes: BTreeMap<String, String>,
    pub events: Vec<String>,
    /// Trace and span of each.
    pub links: Vec<(String, String)>,
}

impl Recorded {
    /// Trace and span.
    pub fn context(&self) -> (String, String) {
        (self.trace.clone(), self.id.clone())
    }

    /// The `traceparent` of who asked in it.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace, self.id)
    }
}

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It takes everything.
    Takes,
    /// It answers nothing.
    Hangs,
    /// It answers 503.
    Refuses,
}

#[derive(Debug, Default)]
struct Seen {
    requests: usize,
    spans: Vec<Recorded>,
    resource: BTreeMap<String, String>,
    headers: HashMap<String, String>,
}

/// A collector that runs until it is dropped; clones share it.
pub struct Collector {
    addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

impl Collector {
    pub async fn start(manner: Manner) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state((manner, seen.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let addr = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self { addr, seen, task }
    }

    /// The variable that names it.
    pub fn variable(&self) -> String {
        format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://{}", self.addr)
    }

    /// How many requests it got.
    pub fn requests(&self) -> usize {
        self.seen.lock().expect("unpoisoned").requests
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Recorded> {
        self.seen.lock().expect("unpoisoned").spans.clone()
    }

    /// What the sender says of itself.
    pub fn resource(&self) -> BTreeMap<String, String> {
        self.seen.lock().expect("unpoisoned").resource.clone()
    }

    /// A header of the last request.
    pub fn header(&self, name: &str) -> Option<String> {
        self.seen.lock().expect("unpoisoned").headers.get(name).cloned()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(
    State((manner, seen)): State<(Manner, Arc<Mutex<Seen>>)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    {
        let mut seen = seen.lock().expect("unpoisoned");
        seen.requests += 1;
        let named = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
        seen.headers = named.collect();
        let request = ExportTraceServiceRequest::decode(body).expect("protobuf");
        for of_resource in request.resource_spans {
            let resource = of_resource.resource.expect("a resource");
            seen.resource = texts(&resource.attributes);
            let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            seen.spans.extend(spans.map(|span| {
                Recorded {
                    name: span.name,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    attributes: texts(&span.attributes),
                    events: span.events.into_iter().map(|event| event.name).collect(),
                    links: span
                        .links
                        .iter()
                        .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
                        .collect(),
                }
            }));
        }
    }
    match manner {
        Manner::Takes => StatusCode::OK,
        Manner::Hangs => std::future::pending().await,
        Manner::Refuses => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    };
    attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), text(&attribute.value)))
        .collect()
}
