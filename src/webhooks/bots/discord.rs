//! Discord's webhooks: a message that a webhook posted can be edited by the same webhook. A webhook has no threads of its
//! own, so what would be a reply is a message.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Answer, Call, Method, Posted, Reading, Service, Step, TargetUrl, Verdict, below, by_status, member,
};

pub(super) const SERVICE: Service = Service { call, read };

/// Discord's code for a message that is not there.
const UNKNOWN_MESSAGE: &str = "10008";

fn call(target: &TargetUrl, _channel: &str, drawn: Value, step: Step<'_>) -> Option<Call> {
    let (method, target) = match step {
        Step::Post | Step::Reply { .. } => (Method::POST, target.with_parameter("wait", "true")),
        Step::Edit(posted) => (
            Method::PATCH,
            below(target, &[], &format!("/messages/{}", posted.id))?,
        ),
    };
    Some(Call {
        method,
        target,
        body: drawn,
    })
}

fn read(answer: &Answer, step: Step<'_>, now: Timestamp) -> Reading {
    let says = |code: &str| answer.text.as_deref().is_some_and(|text| text.contains(code));
    match (answer.status, step) {
        (200..=299, _) => Reading::Done(
            member(answer, "id")
                .filter(|id| is_id(id))
                .map(|id| Posted { id, channel: None }),
        ),
        (404, Step::Edit(_)) if says(UNKNOWN_MESSAGE) => Reading::Gone,
        (401 | 403 | 404, _) => Reading::Not(Verdict::Refused("the webhook was removed")),
        _ => Reading::Not(by_status(answer, now)),
    }
}

/// Whether an id can stand in a path.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_digit())
}
