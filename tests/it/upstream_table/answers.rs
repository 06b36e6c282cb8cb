//! Faults of single answers: statuses, documents, and connections that break or fall silent.
//!
//! All share one gateway, each with a plan of its own. A fault that EM meets before it acts is the simulator's; what
//! happens to an answer on its way back is done by a server in between.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

use super::stage::{self, Asked, Observed};
use crate::support::TestGateway;
use crate::support::scripted_server::{Reply, ScriptedServer, response_of};
use crate::waiting::slowly;

/// What goes wrong.
#[derive(Clone, Copy)]
enum Fault {
    /// In the simulator: EM does not act, unless the kind says so.
    Of(&'static str),
    /// EM answers with that status and does not act.
    Status(u16),
    /// EM acts, and its answer is changed on the way.
    Twist(fn(Reply) -> Response),
}

const NAMESPACE: &str = "http://www.veeam.com/ent/v1.0";

const STATUSES: &[(&str, Fault)] = &[
    ("302", Fault::Status(302)),
    ("400", Fault::Status(400)),
    ("401-for-ever", Fault::Status(401)),
    ("403", Fault::Status(403)),
    ("404", Fault::Status(404)),
    ("405", Fault::Status(405)),
    ("408", Fault::Status(408)),
    ("409", Fault::Status(409)),
    ("411", Fault::Status(411)),
    ("415", Fault::Status(415)),
    ("429", Fault::Status(429)),
    ("500", Fault::Status(500)),
    ("501", Fault::Status(501)),
    ("502", Fault::Status(502)),
    ("503", Fault::Status(503)),
    ("504", Fault::Status(504)),
];

const DOCUMENTS: &[(&str, Fault)] = &[
    ("html-login", Fault::Of("html")),
    (
        "html-after",
        Fault::Twist(|reply| {
            with(
                reply,
                "text/html",
                "<!DOCTYPE html><html><body>Sign in</body></html>",
            )
        }),
    ),
    (
        "garbage",
        Fault::Twist(|reply| with(reply, "application/xml", "\u{1}\u{2}not a document")),
    ),
    (
        "truncated",
        Fault::Twist(|mut reply| {
            reply.cut = true;
            half(reply)
        }),
    ),
    ("half-document", Fault::Twist(half)),
    ("entity-bomb", Fault::Of("entityBomb")),
    ("deep-nesting", Fault::Of("deepNesting")),
    (
        "too-large",
        Fault::Twist(|reply| streamed(reply, endless_text().take(200).boxed())),
    ),
    (
        "wrong-type",
        Fault::Twist(|reply| response_of(reply.header("content-type", "text/plain; charset=us-ascii"))),
    ),
    (
        "wrong-root",
        Fault::Twist(|reply| {
            with(
                reply,
                "application/xml",
                &format!("<BackupServer xmlns=\"{NAMESPACE}\" Name=\"srv\"/>"),
            )
        }),
    ),
    ("bom", Fault::Twist(bom)),
    (
        "empty-body",
        Fault::Twist(|reply| with(reply, "application/xml", "")),
    ),
    (
        "no-task",
        Fault::Twist(|reply| {
            with(
                reply,
                "application/xml",
                &format!("<Task xmlns=\"{NAMESPACE}\"/>"),
            )
        }),
    ),
];

const CONNECTIONS: &[(&str, Fault)] = &[
    ("reset-before", Fault::Of("close")),
    ("reset-after", Fault::Of("executeThenClose")),
    ("hang-headers", Fault::Of("hang")),
];

/// Slow enough failovers that none ends before the gateway loses its patience.
const SILENCE: &[(&str, Fault)] = &[
    (
        "hang-body",
        Fault::Twist(|reply| {
            let begun = reply.body.slice(..reply.body.len() / 2);
            let body = futures_util::stream::iter([Ok(begun)]).chain(futures_util::stream::pending());
            streamed(reply, body.boxed())
        }),
    ),
    (
        "slow-drip",
        Fault::Twist(|reply| {
            let body = reply.body.clone();
            let drops = futures_util::stream::iter(0..body.len()).then(move |at| {
                let drop = body.slice(at..=at);
                async move {
                    slowly(Duration::from_millis(100)).await;
                    Ok(drop)
                }
            });
            streamed(reply, drops.boxed())
        }),
    ),
];

pub fn keys() -> Vec<&'static str> {
    [STATUSES, DOCUMENTS, CONNECTIONS, SILENCE]
        .concat()
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

type Stream = futures_util::stream::BoxStream<'static, Result<Bytes, std::io::Error>>;

fn with(reply: Reply, kind: &str, body: &str) -> Response {
    let mut reply = reply.header("content-type", kind);
    reply.body = Bytes::copy_from_slice(body.as_bytes());
    response_of(reply)
}

fn streamed(mut reply: Reply, body: Stream) -> Response {
    reply.body = Bytes::new();
    response_of(reply).map(|_| Body::from_stream(body))
}

fn half(mut reply: Reply) -> Response {
    reply.body.truncate(reply.body.len() / 2);
    response_of(reply)
}

fn bom(mut reply: Reply) -> Response {
    reply.body = [&b"\xEF\xBB\xBF"[..], &reply.body].concat().into();
    response_of(reply)
}

/// Spaces by the MiB, as they may precede a document's end.
fn endless_text() -> Stream {
    futures_util::stream::repeat_with(|| Ok(Bytes::from(vec![b' '; 1 << 20]))).boxed()
}

impl Fault {
    /// Lets it happen to requests with that method and path.
    async fn happen(self, test: &TestGateway, scripted: &ScriptedServer, method: &str, path: &str) {
        let order = |fault: Value| {
            let mut fault = fault;
            fault.as_object_mut().expect("an object").extend([
                ("count".to_owned(), json!(100)),
                ("method".to_owned(), json!(method)),
                ("path".to_owned(), json!(path)),
            ]);
            fault
        };
        match self {
            Self::Of(kind) => test.fault(order(json!({"kind": kind}))).await,
            Self::Status(status) => {
                test.fault(order(json!({"kind": "status", "status": status})))
                    .await
            }
            Self::Twist(twist) => scripted.twists(&format!("{method} {path}*"), twist),
        }
    }
}

/// One gateway, one plan for each fault: all are asked for one after another, and waited for together.
async fn observe(faults: &'static [(&'static str, Fault)], speed: f64) -> Vec<(&'static str, Observed)> {
    let scripted = ScriptedServer::start().await;
    let between = scripted.clone();
    // A server in between would hide what happens to the simulator's own connections.
    let twisted = faults.iter().any(|(_, fault)| matches!(fault, Fault::Twist(_)));
    let test = TestGateway::builder()
        .sim(move |sim| {
            sim.plans = faults.len();
            sim.speed = speed;
            // Byte order marks and the like are what these tests put in themselves.
            sim.plain = true;
        })
        .config(move |config| {
            if twisted {
                between.put_before(&mut config.upstream);
            }
            stage::impatient(&mut config.upstream);
            config.upstream.max_response = 8 << 20;
        })
        .start()
        .await;
    let plans = stage::plans(&test).await;
    assert_eq!(plans.len(), faults.len());
    let mut asked = Vec::new();
    for ((key, fault), plan) in faults.iter().zip(&plans) {
        let mut course = Asked::about(&test, plan);
        let path = course.em_path();
        fault.happen(&test, &scripted, "GET", &path).await;
        course.read().await;
        undo(&test, &scripted).await;
        fault.happen(&test, &scripted, "POST", &path).await;
        course.act("test").await;
        undo(&test, &scripted).await;
        asked.push((*key, course));
    }
    let ends = asked
        .into_iter()
        .map(|(key, course)| async move { (key, course.end_by_count().await) });
    let seen = join_all(ends).await;
    test.stop().await;
    seen
}

async fn undo(test: &TestGateway, scripted: &ScriptedServer) {
    test.sim_control(Method::DELETE, "faults", Value::Null).await;
    scripted.forwards_all();
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_are_answered_as_the_table_says() {
    super::compare(&observe(STATUSES, 50.0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_cannot_be_read_are_answered_as_the_table_says() {
    super::compare(&observe(DOCUMENTS, 50.0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_connections_are_answered_as_the_table_says() {
    super::compare(&observe(CONNECTIONS, 50.0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_never_end_are_answered_as_the_table_says() {
    super::compare(&observe(SILENCE, 5.0).await);
}
