//! Reading a request: method and path find EM's operation in the catalogue, and each query parameter is checked by it.
//!
//! All faults are collected before any is reported. Nothing reaches EM that the catalogue does not know.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Error;
use super::known::{formats, is_task, known_parameters};
use super::path::{self, MatchedPath};
use super::request::{Kind, Listing, MirrorRequest};
use super::search::{self, Queryable};
use crate::catalogue::{self, Method, Operation, Parameter, Refusal, Resource, catalogue, filter};
use crate::domain::field_error::FieldError;
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

impl MirrorRequest {
    /// Parses `method` on `path` (below `/api/v1/em`, as the caller wrote it) with these query parameters.
    ///
    /// # Errors
    /// [`Error::NoSuchResource`], [`Error::NoSuchMethod`], or [`Error::Invalid`] naming each parameter.
    pub fn parse(method: Method, path: &str, query: &[(String, String)]) -> Result<Self, Error> {
        let matched = path::match_path(path).ok_or(Error::NoSuchResource)?;
        let operation = operation_of(method, &matched, query)?;
        read(operation, &matched, query)
    }
}

/// The methods that EM's resource at `path` accepts.
///
/// # Errors
/// [`Error::NoSuchResource`].
pub fn methods(path: &str) -> Result<Vec<Method>, Error> {
    let matched = path::match_path(path).ok_or(Error::NoSuchResource)?;
    let mut methods = Vec::new();
    for operation in &matched.resource.operations {
        if operation.action_in_path == matched.action.is_some() && !methods.contains(&operation.method) {
            methods.push(operation.method);
        }
    }
    Ok(methods)
}

fn operation_of(
    method: Method,
    matched: &MatchedPath,
    query: &[(String, String)],
) -> Result<&'static Operation, Error> {
    let resource = matched.resource;
    let is_query = resource.operations.iter().any(|o| o.query.is_some());
    let word = if is_query { "type" } else { "action" };
    let wanted = query
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map(|(_, value)| value.as_str());
    match resource.operation(method, matched.action, wanted) {
        Ok(operation) => Ok(operation),
        Err(Refusal::Path) => Err(Error::NoSuchResource),
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
        ([], _) => format!("{} does not support {word} here", method.as_str()),
        (known, None) => format!("is required: one of {}", known.join(", ")),
        (known, Some(_)) => format!("must be one of {}", known.join(", ")),
    };
    Error::Invalid(vec![FieldError::new(word, detail)])
}

/// The request for `operation` at `matched` with these query parameters.
///
/// # Errors
/// [`Error::Invalid`] naming each parameter.
fn read(
    operation: &'static Operation,
    matched: &MatchedPath,
    query: &[(String, String)],
) -> Result<MirrorRequest, Error> {
    let mut reading = Reading {
        operation,
        matched,
        listing: search::of(matched.resource),
        seen: Vec::new(),
        faults: Vec::new(),
        given: Given::default(),
    };
    for (name, value) in query {
        reading.parameter(name, value);
    }
    reading.finish()
}

/// The parameters so far, checked and in EM's spelling.
#[derive(Default)]
struct Given {
    entity: Option<bool>,
    filter: Option<String>,
    sort: Option<(&'static str, &'static str)>,
    page: Option<u32>,
    page_size: Option<u32>,
    /// EM's own parameters of this operation.
    own: Vec<(&'static str, String)>,
    operation_id: Option<OperationId>,
}

/// A query on its way to a [`MirrorRequest`].
struct Reading<'a> {
    operation: &'static Operation,
    matched: &'a MatchedPath,
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
        let known = known_parameters(self.matched.resource, self.operation);
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
            return self.fault(name, "is given more than once");
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
                Ok(id) => self.given.operation_id = Some(id),
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
            return self.fault(name, "sortAsc and sortDesc cannot be combined");
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
            None if values.is_empty() && value.is_empty() => {
                return self.fault(own.name, "must not be empty; leave it out for all");
            }
            None if values.is_empty() => value.to_owned(),
            None => {
                return self.fault(own.name, format!("must be one of {}", values.join(", ")));
            }
        };
        self.given.own.push((own.name, written));
    }

    fn finish(mut self) -> Result<MirrorRequest, Error> {
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
        if kind == Kind::Tasks {
            let seen = std::mem::take(&mut self.seen);
            for name in seen
                .iter()
                .filter(|name| matches!(name.as_str(), "filter" | "sortAsc" | "sortDesc"))
            {
                self.fault(
                    name,
                    "tasks are listed by the gateway, newest first; they cannot be filtered or sorted",
                );
            }
        }
        if is_task(self.matched.resource) && self.given.operation_id.is_none() && self.faults.is_empty() {
            self.fault(
                "operation",
                "is required: the id of the task's operation, which every link to the task carries",
            );
        }
        if !self.faults.is_empty() {
            return Err(Error::Invalid(self.faults));
        }
        let parent = self.searches_within().then(|| {
            let path = &self.matched.path;
            path.rsplit_once('/')
                .map_or(path.clone(), |(parent, _)| parent.to_owned())
        });
        if parent.is_some() && !self.matched.values.first().is_some_and(|id| filter::is_id(id)) {
            return Err(Error::NoSuchResource);
        }
        Ok(MirrorRequest {
            resource: self.matched.resource,
            operation: self.operation,
            kind,
            target: self.target(),
            path: format!("/{}", self.matched.path),
            path_values: self.matched.values.clone(),
            operation_id: self.given.operation_id,
            listing: Listing {
                entities: self.given.entity.unwrap_or(false),
                page: self.given.page.unwrap_or(1),
                size: self.given.page_size.unwrap_or(PAGE_SIZE),
            },
            parent,
        })
    }

    fn kind(&self) -> Kind {
        let downloads = self
            .given
            .own
            .iter()
            .any(|(name, value)| *name == "action" && value == "download");
        match (self.matched.resource.path, self.operation.query) {
            ("/tasks", _) | (_, Some("Task")) => Kind::Tasks,
            ("/tasks/{ID}", _) => Kind::Task,
            _ if downloads && self.operation.method == Method::Get => Kind::Download,
            _ => Kind::Document,
        }
    }

    /// Whether the collection is read through EM's query service instead of its own path.
    fn searches(&self) -> bool {
        let given = &self.given;
        self.listing.is_some()
            && self.operation.method == Method::Get
            && self.operation.query.is_none()
            && (given.filter.is_some()
                || given.sort.is_some()
                || given.page.is_some()
                || given.page_size.is_some())
    }

    fn searches_within(&self) -> bool {
        self.searches() && self.listing.is_some_and(|listing| listing.is_within())
    }

    fn target(&self) -> String {
        let given = &self.given;
        let searched = self.operation.query.is_some() || self.searches();
        if let Some(query) = self.query().filter(|_| searched) {
            return self.query_target(query);
        }
        let mut pairs: Vec<(&str, String)> = given.own.clone();
        let has_forms = self.operation.reference.is_some();
        let is_list = self.matched.resource.is_collection(catalogue());
        if has_forms && given.entity.unwrap_or(!is_list) {
            pairs.push(("format", "Entity".to_owned()));
        }
        for (name, number) in [("pageSize", given.page_size), ("page", given.page)] {
            pairs.extend(number.map(|number| (name, number.to_string())));
        }
        joined(&self.matched.path, &pairs)
    }

    fn query_target(&self, query: &catalogue::Query) -> String {
        let given = &self.given;
        // A collection with one form keeps it when it is searched.
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
            .and_then(|listing| listing.within(&self.matched.values));
        let filter = match (within, &given.filter) {
            (Some(within), Some(filter)) => Some(format!("({filter});{within}")),
            (within, filter) => within.or_else(|| filter.clone()),
        };
        pairs.extend(filter.map(|filter| ("filter", filter)));
        joined("query", &pairs)
    }
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
#[path = "read_tests.rs"]
mod tests;
