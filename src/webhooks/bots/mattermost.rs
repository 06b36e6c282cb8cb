//! Mattermost's API: posts are made and patched below `/api/v4/posts`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Answer, Call, Method, Posted, Reading, Service, Step, TargetUrl, Verdict, below, by_status, member,
};

pub(super) const SERVICE: Service = Service { call, read };

fn call(target: &TargetUrl, channel: &str, mut drawn: Value, step: Step<'_>) -> Option<Call> {
    let ends = ["/posts", "/api/v4"];
    let attachments = drawn.get_mut("attachments").map(Value::take).unwrap_or_default();
    let mut body = json!({
        "message": "",
        "props": {"attachments": attachments},
    });
    let (method, path) = match step {
        Step::Post | Step::Reply { .. } => (Method::POST, "/api/v4/posts".to_owned()),
        Step::Edit(posted) => (Method::PUT, format!("/api/v4/posts/{}/patch", posted.id)),
    };
    let members = body.as_object_mut()?;
    match step {
        Step::Edit(_) => {}
        Step::Post => {
            members.insert("channel_id".to_owned(), channel.into());
        }
        Step::Reply { to, .. } => {
            members.insert("channel_id".to_owned(), channel.into());
            members.insert("root_id".to_owned(), to.id.clone().into());
        }
    }
    Some(Call {
        method,
        target: below(target, &ends, &path)?,
        body,
    })
}

fn read(answer: &Answer, step: Step<'_>, now: Timestamp) -> Reading {
    match (answer.status, step) {
        (200..=299, _) => Reading::Done(
            member(answer, "id")
                .filter(|id| is_id(id))
                .map(|id| Posted { id, channel: None }),
        ),
        // Deleted, or older than the server lets anybody edit; a thread whose root is gone is refused as 400.
        (404, Step::Edit(_)) | (400, Step::Edit(_) | Step::Reply { .. }) => Reading::Gone,
        (401, _) => Reading::Not(Verdict::Refused("the token is not valid")),
        (403, _) => Reading::Not(Verdict::Refused("the bot may not post in the channel")),
        (404, _) => Reading::Not(Verdict::Refused("the channel does not exist")),
        _ => Reading::Not(by_status(answer, now)),
    }
}

/// Whether an id can stand in a path.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
