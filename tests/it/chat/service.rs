//! A chat service on loopback that keeps what it is sent and answers as Slack, Mattermost or Discord document it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Slack,
    Mattermost,
    Discord,
}

pub const ALL: [Kind; 3] = [Kind::Slack, Kind::Mattermost, Kind::Discord];

/// A message, with each text that it had and when it got it.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    /// The message that it answers.
    pub thread: Option<String>,
    /// Whether an answer is shown to everybody.
    pub broadcast: bool,
    pub versions: Vec<(Instant, String)>,
    pub deleted: bool,
}

impl Message {
    pub fn latest(&self) -> &str {
        &self.versions.last().expect("a version").1
    }
}

type Room = Arc<Mutex<Vec<Message>>>;

/// A service; it ends when dropped.
pub struct Service {
    pub kind: Kind,
    pub addr: SocketAddr,
    room: Room,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    pub async fn start(kind: Kind) -> Self {
        let room: Room = Arc::default();
        let router = Router::new().fallback(take).with_state((kind, room.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let addr = listener.local_addr().expect("an address");
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        Self {
            kind,
            addr,
            room,
            task,
        }
    }

    /// What an endpoint for it is made with.
    pub fn endpoint(&self) -> Value {
        let types = [
            "failover.session.started",
            "failover.session.progressed",
            "failover.vm.finished",
            "failover.session.finished",
        ];
        let (format, url, bot) = match self.kind {
            Kind::Slack => ("slack", "/api/", json!({"token": "xoxb-1", "channel": "C1"})),
            Kind::Mattermost => ("mattermost", "", json!({"token": "mm-1", "channelId": "chan"})),
            Kind::Discord => ("discord", "/api/webhooks/1/x", Value::Null),
        };
        let url = format!("http://{}{url}", self.addr);
        let mut endpoint = json!({"url": url, "format": format, "eventTypes": types});
        if !bot.is_null() {
            endpoint["bot"] = bot;
        }
        endpoint
    }

    /// Every message that was ever posted, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.room.lock().expect("the room").clone()
    }

    /// Somebody deletes a message.
    pub fn delete(&self, id: &str) {
        let mut room = self.room.lock().expect("the room");
        let message = room.iter_mut().find(|message| message.id == id);
        message.expect("the message").deleted = true;
    }

    /// What a reader of the channel sees, a line for each message and each change of it.
    pub fn transcript(&self) -> String {
        let mut lines = Vec::new();
        for message in self.messages() {
            let mark = match (&message.thread, message.broadcast) {
                (None, _) => "",
                (Some(_), false) => "  in its thread: ",
                (Some(_), true) => "  in its thread, to all: ",
            };
            for (at, text) in &message.versions {
                lines.push((*at, format!("{} {mark}{text}", message.id)));
            }
        }
        lines.sort_by_key(|(at, _)| *at);
        let first = lines.first().map(|(at, _)| *at);
        let shown = lines.iter().map(|(at, line)| {
            let after = first.map_or(0.0, |first| (*at - first).as_secs_f64());
            format!("{after:6.1} s  {line}")
        });
        shown.collect::<Vec<_>>().join("\n")
    }
}

/// The id of the message with this number, in the service's own form.
fn id(kind: Kind, number: usize) -> String {
    match kind {
        Kind::Slack => format!("1503435956.{number:06}"),
        Kind::Mattermost => format!("post{number:022}"),
        Kind::Discord => format!("{}", 1_200_000_000_000_000_000_u64 + number as u64),
    }
}

/// The line of a message that stands in notifications.
fn text(kind: Kind, body: &Value) -> String {
    let place = match kind {
        Kind::Slack => "/text",
        Kind::Mattermost => "/props/attachments/0/title",
        Kind::Discord => "/embeds/0/title",
    };
    let found = body.pointer(place).and_then(Value::as_str);
    found.expect("a message has a title").to_owned()
}

/// What is asked, read from the request.
enum Ask {
    Post { thread: Option<String>, broadcast: bool },
    Edit(String),
}

/// The request, or the service's own refusal.
fn read(
    kind: Kind,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Value,
) -> Result<Ask, (u16, Value)> {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    let thread = |name: &str| body[name].as_str().map(ToOwned::to_owned);
    match (kind, method.as_str(), uri.path()) {
        (Kind::Slack, "POST", _) if token != Some("Bearer xoxb-1") => {
            Err((200, json!({"ok": false, "error": "invalid_auth"})))
        }
        (Kind::Slack, "POST", _) if body["channel"] != "C1" => {
            Err((200, json!({"ok": false, "error": "channel_not_found"})))
        }
        (Kind::Slack, "POST", "/api/chat.postMessage") => Ok(Ask::Post {
            thread: thread("thread_ts"),
            broadcast: body["reply_broadcast"] == true,
        }),
        (Kind::Slack, "POST", "/api/chat.update") => Ok(Ask::Edit(thread("ts").expect("a ts"))),
        (Kind::Mattermost, ..) if token != Some("Bearer mm-1") => {
            let body = json!({"id": "api.context.session_expired.app_error", "status_code": 401});
            Err((401, body))
        }
        (Kind::Mattermost, "POST", "/api/v4/posts") => {
            assert_eq!(body["channel_id"], "chan");
            Ok(Ask::Post {
                thread: thread("root_id"),
                broadcast: false,
            })
        }
        (Kind::Mattermost, "PUT", path) if path.ends_with("/patch") => {
            let id = path.split('/').nth_back(1).expect("an id");
            Ok(Ask::Edit(id.to_owned()))
        }
        (Kind::Discord, "POST", "/api/webhooks/1/x") => {
            assert_eq!(uri.query(), Some("wait=true"), "otherwise Discord says no id");
            Ok(Ask::Post {
                thread: None,
                broadcast: false,
            })
        }
        (Kind::Discord, "PATCH", path) => {
            let id = path.strip_prefix("/api/webhooks/1/x/messages/");
            Ok(Ask::Edit(id.expect("a message").to_owned()))
        }
        (_, method, path) => panic!("{kind:?} has no {method} {path}"),
    }
}

async fn take(
    State((kind, room)): State<(Kind, Room)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let ask = match read(kind, &method, &uri, &headers, &body) {
        Ok(ask) => ask,
        Err((status, body)) => return said(status, body),
    };
    let version = (Instant::now(), text(kind, &body));
    let mut room = room.lock().expect("the room");
    let is_gone = |id: &str, room: &[Message]| !room.iter().any(|one| one.id == id && !one.deleted);
    let (id, status) = match ask {
        Ask::Post { thread, broadcast } => {
            if thread.as_ref().is_some_and(|root| is_gone(root, &room)) {
                return gone(kind, true);
            }
            let id = id(kind, room.len() + 1);
            room.push(Message {
                id: id.clone(),
                thread,
                broadcast,
                versions: vec![version],
                deleted: false,
            });
            (id, if kind == Kind::Mattermost { 201 } else { 200 })
        }
        Ask::Edit(id) => {
            if is_gone(&id, &room) {
                return gone(kind, false);
            }
            let message = room.iter_mut().find(|one| one.id == id).expect("the message");
            message.versions.push(version);
            (id, 200)
        }
    };
    let answer = match kind {
        Kind::Slack => json!({"ok": true, "channel": "C1", "ts": id, "message": body}),
        Kind::Mattermost => {
            let mut post = body;
            post["id"] = id.into();
            post
        }
        Kind::Discord => json!({"id": id, "type": 0, "embeds": body["embeds"], "channel_id": "9"}),
    };
    said(status, answer)
}

fn said(status: u16, body: Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    (status, axum::Json(body)).into_response()
}

/// What a service says of a message that it does not have; `root` when it was to be answered.
fn gone(kind: Kind, root: bool) -> Response {
    let (status, body) = match (kind, root) {
        (Kind::Slack, false) => (200, json!({"ok": false, "error": "message_not_found"})),
        (Kind::Slack, true) => (200, json!({"ok": false, "error": "thread_not_found"})),
        (Kind::Mattermost, false) => (404, json!({"id": "app.post.get.app_error", "status_code": 404})),
        (Kind::Mattermost, true) => (
            400,
            json!({"id": "api.post.create_post.root_id.app_error", "status_code": 400}),
        ),
        (Kind::Discord, _) => (404, json!({"message": "Unknown Message", "code": 10008})),
    };
    said(status, body)
}
