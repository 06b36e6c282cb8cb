//! Faults on request: what a bad network, a broken proxy or a hostile server does to one answer.
//!
//! `close`, `hang`, `status`, `garbage`, `html`, `entityBomb` and `deepNesting` replace the answer, and EM does
//! not act. `truncate` and `executeThenClose` let EM act first: the outcome is what the client cannot know.

use http::StatusCode;
use serde::Deserialize;

use super::exchange::Refusal;
use super::wire::{Request, Response};
use super::xml::{NAMESPACE, Style};

/// The most faults that wait at once.
const MAX_WAITING: usize = 1_000;
/// Levels of the `deepNesting` document.
const LEVELS: usize = 100_000;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The connection is reset without an answer.
    Close,
    /// Nothing is ever answered.
    Hang,
    /// An error document with the status given (503 by default).
    Status,
    /// The true answer, cut in half.
    Truncate,
    /// The status of success with bytes that are no document.
    Garbage,
    /// 200 and a login page.
    Html,
    /// 200 and a document type that unfolds without end.
    EntityBomb,
    /// 200 and a document of 100,000 levels.
    DeepNesting,
    /// EM acts, then the connection is reset.
    ExecuteThenClose,
}

/// A fault and which requests it hits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Fault {
    pub kind: Kind,
    /// How many requests; 1 when absent.
    #[serde(default = "once")]
    count: u32,
    /// Beginning of the path, or of path and query when it holds a question mark.
    path: Option<String>,
    method: Option<String>,
    /// For `status`.
    status: Option<u16>,
    /// For `status`: the seconds of a `Retry-After` header.
    retry_after: Option<u32>,
}

fn once() -> u32 {
    1
}

impl Fault {
    fn hits(&self, request: &Request) -> bool {
        let path = self.path.as_deref().is_none_or(|prefix| {
            let whole = if prefix.contains('?') {
                request.target.as_str()
            } else {
                request.path()
            };
            let begins = |head: &[u8]| head.eq_ignore_ascii_case(prefix.as_bytes());
            whole.as_bytes().get(..prefix.len()).is_some_and(begins)
        });
        path && self
            .method
            .as_deref()
            .is_none_or(|method| method.eq_ignore_ascii_case(&request.method))
    }
}

/// The faults that wait, the oldest first.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one; the error is a sentence.
    pub fn add(&mut self, fault: Fault) -> Result<(), String> {
        if fault.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("status must be between 200 and 599".to_owned());
        }
        if fault.count == 0 {
            return Err("count must be above 0".to_owned());
        }
        if self.0.len() >= MAX_WAITING {
            return Err(format!("{MAX_WAITING} faults are waiting already"));
        }
        self.0.push(fault);
        Ok(())
    }

    /// Drops all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that hits this request, used up by one.
    pub fn take(&mut self, request: &Request) -> Option<Fault> {
        let index = self.0.iter().position(|fault| fault.hits(request))?;
        let waiting = self.0.get_mut(index)?;
        waiting.count -= 1;
        let fault = waiting.clone();
        if fault.count == 0 {
            self.0.remove(index);
        }
        Some(fault)
    }
}

impl Fault {
    /// The answer that replaces EM's, for the kinds that have one.
    pub fn stand_in(&self) -> Option<Response> {
        const XML: &str = "application/xml; charset=utf-8";
        let ok = |kind: &str, body: Vec<u8>| Some(Response::with_body(StatusCode::OK, kind, body));
        match self.kind {
            Kind::Close | Kind::Hang | Kind::Truncate | Kind::ExecuteThenClose => None,
            Kind::Status => {
                let status = self.status.and_then(|status| StatusCode::from_u16(status).ok());
                let status = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                let document = Refusal::new(status, "A fault was ordered").document();
                let mut response = Response::with_body(status, XML, document.document(Style::default()));
                if let Some(seconds) = self.retry_after {
                    response
                        .headers
                        .push(("Retry-After".to_owned(), seconds.to_string()));
                }
                Some(response)
            }
            Kind::Garbage => ok(XML, (0..512_u32).map(|n| (n * 37 % 251) as u8).collect()),
            Kind::Html => ok("text/html; charset=utf-8", HTML.as_bytes().to_vec()),
            Kind::EntityBomb => ok(XML, entity_bomb().into_bytes()),
            Kind::DeepNesting => ok(XML, deep_nesting().into_bytes()),
        }
    }
}

const HTML: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>Sign in</title></head>\
<body><form method=\"post\"><input name=\"user\"><input name=\"password\" type=\"password\"><br>\
<button>Sign in</button></form></body></html>\n";

/// Ten entities, each ten times the one before: ten billion characters when expanded.
fn entity_bomb() -> String {
    let mut text = String::from("<?xml version=\"1.0\"?>\n<!DOCTYPE Task [\n<!ENTITY e0 \"aaaaaaaaaa\">\n");
    for level in 1..10 {
        let inner = format!("&e{};", level - 1).repeat(10);
        text.push_str(&format!("<!ENTITY e{level} \"{inner}\">\n"));
    }
    text.push_str(&format!(
        "]>\n<Task xmlns=\"{NAMESPACE}\"><TaskId>&e9;</TaskId></Task>"
    ));
    text
}

fn deep_nesting() -> String {
    let open = "<Links>".repeat(LEVELS);
    let close = "</Links>".repeat(LEVELS);
    format!("<Task xmlns=\"{NAMESPACE}\">{open}{close}</Task>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: &str) -> Request {
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            ..Request::default()
        }
    }

    #[test]
    fn a_fault_hits_the_requests_it_names_as_often_as_configured() {
        let mut faults = Faults::default();
        let fault = serde_json::from_str(
            r#"{"kind":"executeThenClose","count":2,"path":"/api/cloud/","method":"POST"}"#,
        );
        faults.add(fault.unwrap()).unwrap();
        assert!(faults.take(&request("GET", "/api/cloud/x")).is_none());
        assert!(faults.take(&request("POST", "/api/query")).is_none());
        assert!(
            faults
                .take(&request("POST", "/API/Cloud/x?action=test"))
                .is_some()
        );
        assert!(faults.take(&request("POST", "/api/cloud/x")).is_some());
        assert!(faults.take(&request("POST", "/api/cloud/x")).is_none());
    }

    #[test]
    fn an_unknown_kind_or_field_is_refused() {
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"explode"}"#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"close","often":2}"#).is_err());
    }
}
