//! Which request reaches which part of the world.
//!
//! One table: path, method, handler. Whatever EM would refuse before it looks at a resource (no logon, no
//! length, unknown path, wrong method, JSON wanted) is refused here, in EM's error document.
//! What the table does not have is asked of `generic`, which serves all the rest from the catalogue.

mod logon;
mod plans;
pub mod query;
mod sessions;
pub mod tasks;

use http::StatusCode;
use jiff::Timestamp;
use uuid::Uuid;

use super::generic;
use super::options::ExpiredStatus;
use super::render::{Documents, Form};
use super::wire::Request;
use super::world::World;
use super::xml::Element;

/// The header and the cookie that carry a logon session's token.
pub const TOKEN: &str = "X-RestSvcSessionId";

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

    fn no_content() -> Self {
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
type Handler = fn(&mut Call<'_>) -> Handled;

/// One authorized request on its way to a handler.
pub struct Call<'a> {
    pub world: &'a mut World,
    pub request: &'a Request,
    pub now: Timestamp,
    /// The logon session that asks; the nil id for the two routes that need none.
    pub logon: Uuid,
    /// What the braces of the path matched, in order.
    captured: Vec<String>,
}

impl Call<'_> {
    fn documents(&self) -> Documents<'_> {
        Documents {
            world: self.world,
            now: self.now,
        }
    }

    /// The captured path segment as an id; whatever is none cannot exist.
    fn id(&self, index: usize, what: &str) -> Result<Uuid, Refusal> {
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

struct Route {
    /// Below `/api`, `{}` standing for one segment.
    path: &'static str,
    methods: &'static [(&'static str, Handler)],
    needs_logon: bool,
}

const fn route(path: &'static str, methods: &'static [(&'static str, Handler)]) -> Route {
    Route {
        path,
        methods,
        needs_logon: true,
    }
}

const ROUTES: &[Route] = &[
    Route {
        path: "",
        methods: &[("GET", logon::base)],
        needs_logon: false,
    },
    Route {
        path: "/sessionMngr",
        methods: &[("POST", logon::log_on)],
        needs_logon: false,
    },
    route("/logonSessions", &[("GET", logon::list)]),
    route(
        "/logonSessions/{}",
        &[("GET", logon::get), ("DELETE", logon::log_off)],
    ),
    route("/cloud/cloudFailoverPlans", &[("GET", plans::cloud_list)]),
    route(
        "/cloud/cloudFailoverPlans/{}",
        &[
            ("GET", plans::cloud_get),
            ("POST", plans::cloud_act),
            ("PUT", plans::cloud_put),
            ("DELETE", plans::cloud_delete),
        ],
    ),
    route(
        "/cloud/cloudFailoverPlans/{}/includes",
        &[("GET", plans::includes)],
    ),
    route(
        "/cloud/cloudFailoverPlans/{}/includes/{}",
        &[("GET", plans::include)],
    ),
    route("/cloud/failoverSessions", &[("GET", sessions::list)]),
    route("/cloud/failoverSessions/{}", &[("GET", sessions::get)]),
    route("/failoverPlans", &[("GET", plans::local_list)]),
    route(
        "/failoverPlans/{}",
        &[
            ("GET", plans::local_get),
            ("POST", plans::local_act),
            ("PUT", plans::local_put),
        ],
    ),
    route("/query", &[("GET", query::query)]),
    route("/tasks", &[("GET", tasks::list)]),
    route("/tasks/{}", &[("GET", tasks::get), ("DELETE", tasks::delete)]),
];

/// EM's answer to one request below `/api`.
pub fn answer(world: &mut World, request: &Request, now: Timestamp) -> Handled {
    world.expire_logons(now);
    // EM reads paths in any letter case and with or without a slash at the end.
    let below = request
        .path()
        .get(..4)
        .filter(|api| api.eq_ignore_ascii_case("/api"))
        .and_then(|_| request.path().get(4..))
        .filter(|below| below.is_empty() || below.starts_with('/'));
    let found = below.and_then(|below| {
        let path = segments(below);
        ROUTES
            .iter()
            .find_map(|route| Some((route, captures(route.path, &path)?)))
    });
    let logon = match found {
        Some((route, _)) if !route.needs_logon => Uuid::nil(),
        _ => logon::authorize(world, request, now)?,
    };
    let Some(below) = below else {
        return Err(Refusal::not_found(&format!("Resource '{}'", request.path())));
    };
    if matches!(request.method.as_str(), "POST" | "PUT")
        && request.header("content-length").is_none()
        && request.header("transfer-encoding").is_none()
    {
        return Err(Refusal::new(StatusCode::LENGTH_REQUIRED, "Length Required"));
    }
    let download = |action: String| action.eq_ignore_ascii_case("download");
    if request.header("accept").is_some_and(wants_no_xml)
        && !request.parameter("action").is_some_and(download)
    {
        return Err(Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            "The simulator answers in XML only",
        ));
    }
    let mut call = Call {
        world,
        request,
        now,
        logon,
        captured: Vec::new(),
    };
    match found {
        None => generic::answer(&mut call, below),
        Some((route, captured)) => {
            call.captured = captured;
            let own = route.methods.iter().find(|(method, _)| *method == request.method);
            match own {
                Some((_, handler)) => handler(&mut call),
                None if generic::has_method(&request.method, below) => generic::answer(&mut call, below),
                None => {
                    let allowed: Vec<&str> = route.methods.iter().map(|(method, _)| *method).collect();
                    let mut refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
                    refusal.header = Some(("Allow", allowed.join(", ")));
                    Err(refusal)
                }
            }
        }
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| {
            percent_encoding::percent_decode_str(segment)
                .decode_utf8_lossy()
                .into_owned()
        })
        .collect()
}

/// What the braces of the pattern matched, if the path is of that pattern.
fn captures(pattern: &str, path: &[String]) -> Option<Vec<String>> {
    let pattern: Vec<&str> = pattern.split('/').filter(|segment| !segment.is_empty()).collect();
    if pattern.len() != path.len() {
        return None;
    }
    let mut captured = Vec::new();
    for (expected, given) in pattern.iter().zip(path) {
        if *expected == "{}" {
            captured.push(given.clone());
        } else if !expected.eq_ignore_ascii_case(given) {
            return None;
        }
    }
    Some(captured)
}

fn wants_no_xml(accept: &str) -> bool {
    let accept = accept.to_ascii_lowercase();
    !accept.contains("xml") && !accept.contains("*/*") && !accept.contains("application/*")
}

/// The status of a logon session that is dead.
fn expired_status(world: &World) -> StatusCode {
    match world.options.expired_status {
        ExpiredStatus::Unauthorized => StatusCode::UNAUTHORIZED,
        ExpiredStatus::Forbidden => StatusCode::FORBIDDEN,
    }
}
