//! From a request to EM's operation: path, method, action.
//!
//! EM's own documents spell paths in differing case, so literals compare ignoring it; a literal segment beats a
//! parameter, and `{filepath}` takes the rest, slashes included.

use std::collections::BTreeSet;

use super::Catalogue;
use super::model::{Method, Operation, Resource, Segment};

/// A resource and what its parameters were filled with, in path order, as spelled (percent-encoding untouched).
#[derive(Debug)]
pub struct PathMatch<'c, 'p> {
    pub resource: &'c Resource,
    pub parameters: Vec<(&'static str, &'p str)>,
    /// An action that is in the path (`/nas/jobs/{ID}/start`).
    pub action: Option<&'static str>,
}

/// An operation and the path that led to it.
#[derive(Debug)]
pub struct OperationMatch<'c, 'p> {
    pub path: PathMatch<'c, 'p>,
    pub operation: &'c Operation,
}

/// Why no operation was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("EM has no such resource")]
    Path,
    /// The methods that the resource has.
    #[error("EM's resource does not have this method")]
    Method(Vec<Method>),
    /// The actions that the method has here; empty if it takes none.
    #[error("EM's resource does not have this action")]
    Action(Vec<&'static str>),
}

impl Catalogue {
    /// The resource of a path below `/api` (`/jobs/3f56…/includes`), with or without slashes at its ends.
    #[must_use]
    pub fn resource<'p>(&self, path: &'p str) -> Option<PathMatch<'_, 'p>> {
        let parts: Vec<&str> = path
            .trim_matches('/')
            .split('/')
            .filter(|s| !s.is_empty())
            .collect();
        let mut best: Option<(usize, PathMatch<'_, 'p>)> = None;
        for resource in self.candidates(&parts) {
            for template in &resource.templates {
                let found = fill(template, &parts, path).map(|(literals, parameters)| {
                    (
                        literals,
                        PathMatch {
                            resource,
                            parameters,
                            action: None,
                        },
                    )
                });
                if let Some((literals, found)) = found
                    && best.as_ref().is_none_or(|(most, _)| literals > *most)
                {
                    best = Some((literals, found));
                }
            }
        }
        best.map(|(_, found)| found)
            .or_else(|| self.resource_with_action(path, &parts))
    }

    /// The resources whose path begins as these parts do.
    fn candidates(&self, parts: &[&str]) -> impl Iterator<Item = &Resource> {
        let first = parts.first().map(|first| first.to_ascii_lowercase());
        let places = self.by_first.get(first.as_deref().unwrap_or_default());
        let places = places.into_iter().flatten();
        places.filter_map(|place| self.resources.get(*place))
    }

    /// Notes where the resources are, once all are there.
    pub(super) fn index(&mut self) {
        for (place, resource) in self.resources.iter().enumerate() {
            let firsts: BTreeSet<String> = resource
                .templates
                .iter()
                .map(|template| first_of(template))
                .collect();
            for first in firsts {
                self.by_first.entry(first).or_default().push(place);
            }
        }
    }

    fn resource_with_action<'p>(&self, path: &'p str, parts: &[&'p str]) -> Option<PathMatch<'_, 'p>> {
        let (last, front) = parts.split_last()?;
        self.candidates(front).find_map(|resource| {
            let named = |o: &&Operation| o.action.is_some_and(|a| a.eq_ignore_ascii_case(last));
            let operation = resource
                .operations
                .iter()
                .filter(|o| o.action_in_path)
                .find(named)?;
            let (_, parameters) = fill(resource.segments(), front, path)?;
            Some(PathMatch {
                resource,
                parameters,
                action: operation.action,
            })
        })
    }

    /// The operation behind a request: `path` below `/api`, `action` as in `?action=`; of `/query`, `action` is
    /// its `type`.
    ///
    /// # Errors
    /// Says which of path, method and action EM does not have.
    pub fn operation<'p>(
        &self,
        method: Method,
        path: &'p str,
        action: Option<&str>,
    ) -> Result<OperationMatch<'_, 'p>, Refusal> {
        let path = self.resource(path).ok_or(Refusal::Path)?;
        let operation = path.resource.operation(method, path.action, action)?;
        Ok(OperationMatch { path, operation })
    }
}

impl Resource {
    /// The operation of that method; `in_path` and `action` as [`Catalogue::operation`] finds and takes them.
    ///
    /// # Errors
    /// Says which of method and action EM does not have here.
    pub fn operation(
        &self,
        method: Method,
        in_path: Option<&'static str>,
        action: Option<&str>,
    ) -> Result<&Operation, Refusal> {
        let here = |o: &&Operation| o.action_in_path == in_path.is_some();
        let of_method: Vec<&Operation> = self
            .operations
            .iter()
            .filter(here)
            .filter(|o| o.method == method)
            .collect();
        if of_method.is_empty() {
            let mut methods: Vec<Method> = Vec::new();
            for o in self.operations.iter().filter(here) {
                if !methods.contains(&o.method) {
                    methods.push(o.method);
                }
            }
            return Err(Refusal::Method(methods));
        }
        let wanted = in_path.or(action);
        let fits = |o: &&&Operation| match (o.action.or(o.query), wanted) {
            (None, None) => true,
            (Some(has), Some(wanted)) => has.eq_ignore_ascii_case(wanted),
            // Directory listings take `action` as a plain parameter (listAll, download…).
            (None, Some(wanted)) => takes_action(o, wanted),
            (Some(_), None) => false,
        };
        match of_method.iter().find(fits) {
            Some(operation) => Ok(operation),
            None => Err(Refusal::Action(
                of_method.iter().filter_map(|o| o.action.or(o.query)).collect(),
            )),
        }
    }
}

/// What a path that fills a template begins with, in small letters; every template but the empty one begins with a literal, which
/// `load` checks.
fn first_of(template: &[Segment]) -> String {
    match template.first() {
        Some(Segment::Literal(text)) => text.to_ascii_lowercase(),
        Some(Segment::Parameter(_) | Segment::Rest(_)) | None => String::new(),
    }
}

fn takes_action(operation: &Operation, wanted: &str) -> bool {
    let action = operation.parameters.iter().find(|p| p.name == "action");
    action.is_some_and(|p| p.values.iter().any(|v| v.eq_ignore_ascii_case(wanted)))
}

/// Fills a template; gives the number of literal segments and the parameters.
fn fill<'p>(
    template: &[Segment],
    parts: &[&'p str],
    path: &'p str,
) -> Option<(usize, Vec<(&'static str, &'p str)>)> {
    let mut literals = 0;
    let mut parameters = Vec::new();
    for (i, segment) in template.iter().enumerate() {
        match segment {
            Segment::Literal(text) => {
                if !parts.get(i)?.eq_ignore_ascii_case(text) {
                    return None;
                }
                literals += 1;
            }
            Segment::Parameter(name) => parameters.push((*name, *parts.get(i)?)),
            Segment::Rest(name) => {
                parts.get(i)?;
                parameters.push((*name, rest_of(path, i)?));
                return Some((literals, parameters));
            }
        }
    }
    (parts.len() == template.len()).then_some((literals, parameters))
}

/// What follows the first `skip` segments of `path`, slashes and all.
fn rest_of(path: &str, skip: usize) -> Option<&str> {
    let mut rest = path.trim_start_matches('/');
    for _ in 0..skip {
        rest = rest.split_once('/')?.1.trim_start_matches('/');
    }
    Some(rest)
}
