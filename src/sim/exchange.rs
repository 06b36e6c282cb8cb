//! One authorized request and its answer: the types that all handlers share.

use http::StatusCode;
use jiff::Timestamp;
use uuid::Uuid;

use super::inventory::{Kind, Plan, Tenant};
use super::logon::{Related, Work};
use super::render::{Documents, Form};
use super::scene::Scene;
use super::wire::Request;
use super::world::World;
use super::xml::Element;

/// What EM answers when it does as asked.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub document: Option<Element>,
    /// A download instead of a document: its content type and its bytes.
    pub bytes: Option<(&'static str, Vec<u8>)>,
    pub headers: Vec<(String, String)>,
}

impl Answer {
    /// An answer with a document.
    pub fn new(status: StatusCode, document: Element) -> Self {
        Self {
            document: Some(document),
            ..Self::empty(status)
        }
    }

    /// 200 with a document.
    pub fn ok(document: Element) -> Self {
        Self::new(StatusCode::OK, document)
    }

    /// 200 with a download.
    pub fn bytes(content_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            bytes: Some((content_type, bytes)),
            ..Self::empty(StatusCode::OK)
        }
    }

    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self {
            status,
            document: None,
            bytes: None,
            headers: Vec::new(),
        }
    }

    /// 204.
    pub fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.to_owned(), value));
        self
    }
}

/// What EM answers when it does not.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub message: String,
    pub header: Option<(&'static str, String)>,
}

impl Refusal {
    /// A refusal with that status and message.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            header: None,
        }
    }

    /// 400: the request says something that it must not.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 404: there is no such thing.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} was not found"))
    }

    /// EM's error document; a fault of the server's comes with a stack trace, as EM does it.
    pub fn document(&self) -> Element {
        let status = self.status.canonical_reason().unwrap_or("Error").replace(' ', "");
        let error = Element::new("Error")
            .attr("Status", status)
            .attr("StatusCode", self.status.as_str())
            .attr("Message", self.message.as_str())
            .text_child("FirstChanceExceptionMessage", self.message.as_str());
        if self.status != StatusCode::INTERNAL_SERVER_ERROR {
            return error;
        }
        error.text_child(
            "StackTrace",
            "   at Simulated.RestSvc.QueryService.Execute(QueryParameters parameters)\n   \
             at Simulated.RestSvc.Dispatcher.Invoke(Message message)",
        )
    }
}

/// What a handler gives.
pub type Handled = Result<Answer, Refusal>;

/// One authorized request on its way to a handler.
pub struct Call<'a> {
    pub world: &'a mut World,
    pub request: &'a Request,
    pub now: Timestamp,
    /// The logon session that asks; the nil id for the two routes that need none.
    pub logon: Uuid,
    /// What the braces of the path matched, in order.
    pub captured: Vec<String>,
}

impl Call<'_> {
    /// The tenant whose logon session asks.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.world.logons.get(self.logon)?.tenant.as_ref()
    }

    /// The plans of that kind that the logon session is shown.
    pub fn plans(&self, kind: Kind) -> impl Iterator<Item = &Plan> {
        let tenant = self.tenant();
        self.world.plans_of(kind, self.now).filter(move |plan| {
            tenant.is_none_or(|tenant| plan.tenant.as_ref().is_some_and(|own| own.id == tenant.id))
        })
    }

    /// Writes documents about the world as the call sees it.
    pub fn documents(&self) -> Documents<'_> {
        Documents {
            world: self.world,
            now: self.now,
        }
    }

    /// The world as the call sees it.
    pub fn scene(&self) -> Scene<'_> {
        Scene {
            world: self.world,
            now: self.now,
        }
    }

    /// The captured path segment as an id; whatever is none cannot exist.
    pub fn id(&self, index: usize, what: &str) -> Result<Uuid, Refusal> {
        let text = self.captured.get(index).map_or("", String::as_str);
        let text = text.rsplit(':').next().unwrap_or(text);
        text.parse().map_err(|_| Refusal::not_found(what))
    }

    /// Which form `?format=` asks for.
    pub fn form(&self) -> Result<Form, Refusal> {
        match self.request.parameter("format").as_deref() {
            None | Some("") => Ok(Form::Reference),
            Some(value) if value.eq_ignore_ascii_case("Entity") => Ok(Form::Entity),
            Some(value) if value.eq_ignore_ascii_case("Reference") => Ok(Form::Reference),
            Some(value) => Err(Refusal::bad_request(format!("Format '{value}' is not supported"))),
        }
    }

    /// A parameter that is a number above 0.
    pub fn positive(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        match self.request.parameter(name) {
            None => Ok(default),
            Some(text) => text
                .trim()
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| Refusal::bad_request(format!("'{text}' is not a value of '{name}'"))),
        }
    }

    /// Refuses a request whose body is not announced as XML.
    pub fn demand_xml(&self) -> Result<(), Refusal> {
        match self.request.media_type().as_deref() {
            Some("application/xml") => Ok(()),
            other => Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("Content-Type '{}' is not supported", other.unwrap_or("")),
            )),
        }
    }
}

/// Registers a task for what was accepted; 202 with the task as it begins.
pub fn accept(
    call: &mut Call<'_>,
    operation: &'static str,
    seconds: f64,
    work: Work,
    failure: Option<String>,
) -> Handled {
    let now = call.now;
    let logon = call.world.logons.get_mut(call.logon);
    let Some(task) = logon.and_then(|logon| logon.add_task(operation, now, seconds, work)) else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "Too many tasks"));
    };
    task.failure = failure;
    let task = task.clone();
    Ok(Answer::new(StatusCode::ACCEPTED, call.documents().task(&task)))
}

/// The same for a change whose finished task links what it led to.
pub fn accept_with(
    call: &mut Call<'_>,
    operation: &'static str,
    seconds: f64,
    work: Work,
    links: Vec<Related>,
) -> Handled {
    let answer = accept(call, operation, seconds, work, None)?;
    if let Some(task) = call
        .world
        .logons
        .get_mut(call.logon)
        .and_then(|logon| logon.tasks.last_mut())
    {
        task.links = links;
    }
    Ok(answer)
}
