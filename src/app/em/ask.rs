//! A request through the mirror, understood: which operation of EM's it means and what EM is to be sent.
//!
//! Every parameter is checked against the catalogue before anything leaves the house; all faults are told together.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::path::{self, Place};
use super::queries::{self, Queryable};
use crate::app::{Error, FieldError};
use crate::catalogue::{self, Body, Method, Operation, Parameter, Refusal, Resource, catalogue, filter};
use crate::domain::id::OperationId;

/// RFC 3986's unreserved characters stay, all others are escaped.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Items on a page where the caller names no number.
const PAGE_SIZE: u32 = 50;
/// Most items on a page.
const LARGEST_PAGE: u32 = 100;

/// What a read is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of EM's documents.
    Document,
    /// A file's bytes.
    Download,
    /// The caller's own tasks, as `/tasks` or as `/query?type=Task`.
    Tasks,
    /// A task, which lives in the logon session of its operation.
    Task,
}

/// A request through the mirror that EM has an operation for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// EM's resource.
    pub resource: &'static Resource,
    /// EM's operation.
    pub operation: &'static Operation,
    /// What kind of answer it has.
    pub kind: Kind,
    /// Path and query for EM, below `/api/`.
    pub target: String,
    /// The path without query, for the record; begins with a slash.
    pub path: String,
    /// What the path's parameters are, decoded.
    pub values: Vec<String>,
    /// The operation named by `?operation=`.
    pub of: Option<OperationId>,
    /// What the gateway's own list is to look like.
    pub listing: Listing,
}

/// What a list is to look like that the gateway makes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// Whole entities, not references.
    pub entities: bool,
    /// The page, from 1.
    pub page: u32,
    /// Items on a page.
    pub size: u32,
}

impl Ask {
    /// Understands `method` on `path` (below `/api/v1/em`, as the caller wrote it) with these query parameters.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoSuchMethod`], or [`Error::Invalid`] naming each parameter.
    pub fn read(method: Method, path: &str, query: &[(String, String)]) -> Result<Self, Error> {
        let place = path::place(path).ok_or(Error::NotFound {
            what: "what the path names",
        })?;
        let operation = operation(method, &place, query)?;
        let mut reading = Reading {
            operation,
            place: &place,
            listing: queries::of(place.resource),
            seen: Vec::new(),
            faults: Vec::new(),
            given: Given::default(),
        };
        for (name, value) in query {
            reading.parameter(name, value);
        }
        reading.finish()
    }

    /// What EM wants in the request's body.
    #[must_use]
    pub fn body(&self) -> Option<Body> {
        self.operation.body
    }

    /// Path and query by which EM shows what the path names, in the form that the mirror shows by itself; none where
    /// EM does not show it.
    #[must_use]
    pub fn representation(&self) -> Option<String> {
        let plain = |operation: &&Operation| operation.method == Method::Get && operation.action.is_none();
        let read = self.resource.operations.iter().find(plain)?;
        let path = self.path.trim_start_matches('/');
        let whole = read.reference.is_some() && !self.resource.is_collection(catalogue());
        Some(if whole {
            format!("{path}?format=Entity")
        } else {
            path.to_owned()
        })
    }

    /// The word for what is done: EM's action, or its relation behind the method.
    #[must_use]
    pub fn action(&self) -> &'static str {
        self.operation.action.unwrap_or(match self.operation.method {
            Method::Get => "read",
            Method::Post => "create",
            Method::Put => "edit",
            Method::Delete => "delete",
        })
    }
}

fn operation(method: Method, place: &Place, query: &[(String, String)]) -> Result<&'static Operation, Error> {
    let resource = place.resource;
    let is_query = resource.operations.iter().any(|o| o.query.is_some());
    let word = if is_query { "type" } else { "action" };
    let wanted = query
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|(_, value)| value.as_str());
    match catalogue().operation(method, &place.path, wanted) {
        Ok(found) => Ok(found.operation),
        Err(Refusal::Path) => Err(Error::NotFound {
            what: "what the path names",
        }),
        Err(Refusal::Method(methods)) => Err(Error::NoSuchMethod(methods)),
        Err(Refusal::Action(known)) => Err(no_such_action(resource, method, word, wanted, &known)),
    }
}

fn no_such_action(
    resource: &Resource,
    method: Method,
    word: &str,
    wanted: Option<&str>,
    known: &[&str],
) -> Error {
    let listed = resource
        .operations
        .iter()
        .filter(|o| o.method == method)
        .flat_map(|o| o.parameters.iter().filter(|p| p.name == word))
        .flat_map(|p| p.values.iter().copied());
    let known: Vec<&str> = known.iter().copied().chain(listed).collect();
    let detail = match (known.as_slice(), wanted) {
        ([], _) => format!("{} takes no {word} here", method.as_str()),
        (known, None) => format!("is required: one of {}", known.join(", ")),
        (known, Some(_)) => format!("must be one of {}", known.join(", ")),
    };
    Error::invalid(word, detail)
}

/// What was given, each already checked and in EM's spelling.
#[derive(Default)]
struct Given {
    entity: Option<bool>,
    filter: Option<String>,
    sort: Option<(&'static str, &'static str)>,
    page: Option<u32>,
    page_size: Option<u32>,
    /// EM's own parameters of this operation.
    own: Vec<(&'static str, String)>,
    of: Option<OperationId>,
}

struct Reading<'a> {
    operation: &'static Operation,
    place: &'a Place,
    listing: Option<Queryable>,
    seen: Vec<String>,
    faults: Vec<FieldError>,
    given: Given,
}

impl Reading<'_> {
    fn fault(&mut self, name: &str, detail: impl Into<String>) {
        self.faults.push(FieldError::new(name, detail));
    }

    /// The query behind this read, if it has one: that of `/query`, or of the collection.
    fn query(&self) -> Option<&'static catalogue::Query> {
        if self.operation.method != Method::Get {
            return None;
        }
        match self.operation.query {
            Some(name) => catalogue().query(name),
            None => self.listing.map(|listing| listing.query),
        }
    }

    fn parameter(&mut self, name: &str, value: &str) {
        let known = known_parameters(self.place.resource, self.operation);
        // EM's own links write `Format` as well as `format`.
        let Some(name) = known
            .iter()
            .copied()
            .find(|known| known.eq_ignore_ascii_case(name))
        else {
            let detail = if known.is_empty() {
                "there is no such parameter; none are known here".to_owned()
            } else {
                format!("there is no such parameter; known here: {}", known.join(", "))
            };
            return self.fault(name, detail);
        };
        if self.seen.iter().any(|seen| seen == name) {
            return self.fault(name, "stands twice");
        }
        self.seen.push(name.to_owned());
        let own = self.operation.parameters.iter().find(|own| own.name == name);
        match (name, own) {
            ("filter", _) => self.filter(value),
            ("sortAsc" | "sortDesc", _) => self.sort(name, value),
            ("page", _) => self.given.page = self.number(name, value, 1, i32::MAX.unsigned_abs()),
            ("pageSize", _) => self.given.page_size = self.number(name, value, 1, LARGEST_PAGE),
            ("format", _) => self.format(value),
            ("operation", None) => match value.parse() {
                Ok(id) => self.given.of = Some(id),
                Err(_) => self.fault(name, "is not the id of an operation"),
            },
            (_, Some(own)) => self.own(own, value),
            // `type` and `action` chose the operation.
            ("action", None) => {
                if let Some(action) = self.operation.action {
                    self.given.own.push(("action", action.to_owned()));
                }
            }
            (_, None) => {}
        }
    }

    fn filter(&mut self, value: &str) {
        let Some(query) = self.query() else { return };
        match filter::rewrite(catalogue(), query, value) {
            Ok(filter) => self.given.filter = Some(filter),
            Err(error) => self.fault("filter", error.to_string()),
        }
    }

    fn sort(&mut self, name: &'static str, value: &str) {
        if self.given.sort.is_some() {
            return self.fault(name, "sortAsc and sortDesc cannot stand beside each other");
        }
        let Some(query) = self.query() else { return };
        match query.field(value) {
            Some(field) => self.given.sort = Some((name, field.name)),
            None => self.fault(name, format!("must be one of {}", filter::field_names(query))),
        }
    }

    fn number(&mut self, name: &str, value: &str, least: u32, most: u32) -> Option<u32> {
        match value.parse() {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                let bound = if most == LARGEST_PAGE {
                    format!(" to {most}")
                } else {
                    String::new()
                };
                self.fault(name, format!("must be a whole number from {least}{bound}"));
                None
            }
        }
    }

    fn format(&mut self, value: &str) {
        match value.to_ascii_lowercase().as_str() {
            "entity" | "entities" => self.given.entity = Some(true),
            "reference" | "references" => self.given.entity = Some(false),
            _ => {
                let words = formats(self.operation).join(" or ");
                self.fault("format", format!("must be {words}"));
            }
        }
    }

    fn own(&mut self, own: &'static Parameter, value: &str) {
        let values: &[&'static str] = if own.boolean {
            &["true", "false"]
        } else {
            &own.values
        };
        let written = match values.iter().find(|known| known.eq_ignore_ascii_case(value)) {
            Some(known) => (*known).to_owned(),
            None if values.is_empty() => value.to_owned(),
            None => {
                return self.fault(own.name, format!("must be one of {}", values.join(", ")));
            }
        };
        self.given.own.push((own.name, written));
    }

    fn finish(mut self) -> Result<Ask, Error> {
        let kind = self.kind();
        let missing: Vec<&str> = self
            .operation
            .parameters
            .iter()
            .filter(|own| own.required && !self.seen.iter().any(|seen| seen == own.name))
            .map(|own| own.name)
            .collect();
        for name in missing {
            self.fault(name, "is required");
        }
        if kind == Kind::Tasks && (self.given.filter.is_some() || self.given.sort.is_some()) {
            self.fault(
                "type",
                "tasks are listed by the gateway, newest first; they cannot be filtered or sorted",
            );
        }
        if is_task(self.place.resource) && self.given.of.is_none() && self.faults.is_empty() {
            self.fault(
                "operation",
                "is required: a task is known by its operation, whose id stands in every link to it",
            );
        }
        if !self.faults.is_empty() {
            return Err(Error::Invalid(self.faults));
        }
        Ok(Ask {
            resource: self.place.resource,
            operation: self.operation,
            kind,
            target: self.target(),
            path: format!("/{}", self.place.path),
            values: self.place.values.clone(),
            of: self.given.of,
            listing: Listing {
                entities: self.given.entity.unwrap_or(false),
                page: self.given.page.unwrap_or(1),
                size: self.given.page_size.unwrap_or(PAGE_SIZE),
            },
        })
    }

    fn kind(&self) -> Kind {
        let downloads = self
            .given
            .own
            .iter()
            .any(|(name, value)| *name == "action" && value == "download");
        match (self.place.resource.path, self.operation.query) {
            ("/tasks", _) | (_, Some("Task")) => Kind::Tasks,
            ("/tasks/{ID}", _) => Kind::Task,
            _ if downloads && self.operation.method == Method::Get => Kind::Download,
            _ => Kind::Document,
        }
    }

    fn target(&self) -> String {
        let given = &self.given;
        let asked = given.filter.is_some()
            || given.sort.is_some()
            || ((given.page.is_some() || given.page_size.is_some()) && self.listing.is_some());
        if let Some(query) = self.query().filter(|_| self.operation.query.is_some() || asked) {
            return self.query_target(query);
        }
        let mut pairs: Vec<(&str, String)> = given.own.clone();
        let has_forms = self.operation.reference.is_some();
        let is_list = self.place.resource.is_collection(catalogue());
        if has_forms && given.entity.unwrap_or(!is_list) {
            pairs.push(("format", "Entity".to_owned()));
        }
        for (name, number) in [("pageSize", given.page_size), ("page", given.page)] {
            pairs.extend(number.map(|number| (name, number.to_string())));
        }
        joined(&self.place.path, &pairs)
    }

    fn query_target(&self, query: &catalogue::Query) -> String {
        let given = &self.given;
        // A collection that has one form only keeps it when it is searched.
        let whole = self.operation.query.is_none() && self.operation.reference.is_none();
        let format = if given.entity.unwrap_or(whole) {
            "Entities"
        } else {
            "References"
        };
        let size = given.page_size.unwrap_or(PAGE_SIZE);
        let mut pairs = vec![
            ("type", query.name.to_owned()),
            ("format", format.to_owned()),
            ("pageSize", size.to_string()),
            ("page", given.page.unwrap_or(1).to_string()),
        ];
        if let Some((direction, field)) = given.sort {
            pairs.push((direction, field.to_owned()));
        }
        let within = self
            .listing
            .filter(|_| self.operation.query.is_none())
            .and_then(|listing| listing.within(&self.place.values));
        let filter = match (within, &given.filter) {
            (Some(within), Some(filter)) => Some(format!("({filter});{within}")),
            (within, filter) => within.or_else(|| filter.clone()),
        };
        pairs.extend(filter.map(|filter| ("filter", filter)));
        joined("query", &pairs)
    }
}

/// The parameters that an operation takes in the query, in the order in which they are documented.
#[must_use]
pub fn known_parameters(resource: &Resource, operation: &Operation) -> Vec<&'static str> {
    let mut known = Vec::new();
    if operation.query.is_some() {
        known.push("type");
    }
    if operation.action.is_some() && !operation.action_in_path {
        known.push("action");
    }
    if is_task(resource) {
        known.push("operation");
    }
    if operation.reference.is_some() {
        known.push("format");
    }
    let is_listing =
        operation.method == Method::Get && operation.query.is_none() && queries::of(resource).is_some();
    if is_listing {
        known.extend(["filter", "sortAsc", "sortDesc", "page", "pageSize"]);
    }
    known.extend(operation.parameters.iter().map(|own| own.name));
    let mut once: Vec<&'static str> = Vec::with_capacity(known.len());
    for name in known {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

/// What `format` may be: EM's own word for whole entities, and one for references, which EM gives without asking.
#[must_use]
pub fn formats(operation: &Operation) -> [&'static str; 2] {
    if operation.query.is_some() {
        ["References", "Entities"]
    } else {
        ["Reference", "Entity"]
    }
}

/// Whether the resource is one task.
#[must_use]
pub fn is_task(resource: &Resource) -> bool {
    resource.path == "/tasks/{ID}"
}

fn joined(path: &str, pairs: &[(&str, String)]) -> String {
    let mut target = path.to_owned();
    for (index, (name, value)) in pairs.iter().enumerate() {
        let mark = if index == 0 { '?' } else { '&' };
        let _ = write!(target, "{mark}{name}={}", utf8_percent_encode(value, VALUE));
    }
    target
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
