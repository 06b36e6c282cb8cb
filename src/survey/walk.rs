//! What is read next: every resource that has an address of its own, every query page by page, and of whatever is below
//! other things a few examples, whose addresses come out of what was read.
//!
//! Pure, and a function of what was read so far: after a kill the journal leads to the same reads.

use std::collections::{BTreeMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::catalogue::{Auth, Method, Operation, Resource, Segment, catalogue};

/// So many things are read of each resource with a parameter in its path.
const EXAMPLES: usize = 2;
/// What is asked a question, and has no answer without one.
const ASKED: [&str; 2] = ["/query", "/lookup"];
/// Rows of a page that are asked for: as many as EM gives at once.
const PAGE_SIZE: u32 = 100;

/// Which of EM's two forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum AnswerForm {
    /// Things in full.
    Entity,
    /// References to things.
    Reference,
    /// What has one form.
    Only,
}

/// One read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Read {
    /// Path and query below `/api/`.
    pub target: String,
    /// The resource, as the catalogue writes its path; of a query with its type.
    pub resource: String,
    pub form: AnswerForm,
    /// Not an example of something that may be gone by now.
    pub standing: bool,
    /// Of a query: its page, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

impl Read {
    fn of_query(name: &str, page: u32) -> Self {
        Self {
            target: format!("query?type={name}&format=Entities&pageSize={PAGE_SIZE}&page={page}"),
            resource: format!("/query?type={name}"),
            form: AnswerForm::Entity,
            standing: true,
            page: Some(page),
        }
    }
}

/// What is still to be read.
pub(super) struct Walk {
    waiting: VecDeque<Read>,
    done: HashSet<String>,
    examples: BTreeMap<&'static str, usize>,
    max_pages: u32,
    /// Queries that had more pages.
    pub cut: u64,
}

impl Walk {
    pub(super) fn new(max_pages: u32) -> Self {
        let mut waiting = VecDeque::new();
        for resource in catalogue().resources() {
            let literal = resource
                .segments()
                .iter()
                .all(|segment| matches!(segment, Segment::Literal(_)));
            if let Some(operation) = readable(resource).filter(|_| literal && !ASKED.contains(&resource.path))
            {
                reads_of(&mut waiting, resource, operation, resource.path, true);
            }
        }
        for query in catalogue().queries() {
            waiting.push_back(Read::of_query(query.name, 1));
        }
        Self {
            waiting,
            done: HashSet::new(),
            examples: BTreeMap::new(),
            max_pages,
            cut: 0,
        }
    }

    /// The next read, until [`Walk::note`] hears of it.
    pub(super) fn next(&self) -> Option<Read> {
        self.waiting.front().cloned()
    }

    /// How many reads are known to wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes note of a read that was done: the paths that its links lead to, and which page it was of how many.
    /// Those of the paths are given back that will be read.
    pub(super) fn note(&mut self, read: &Read, paths: &[String], page: Option<(u64, u64)>) -> Vec<String> {
        self.done.insert(read.target.clone());
        self.waiting.retain(|waiting| waiting.target != read.target);
        if let (Some(number), Some((_, count))) = (read.page, page)
            && count > u64::from(number)
        {
            if number < self.max_pages {
                let name = read.resource.trim_start_matches("/query?type=");
                self.waiting.push_front(Read::of_query(name, number + 1));
            } else {
                self.cut += 1;
            }
        }
        let fresh = paths.iter().filter(|path| self.offer(path));
        fresh.cloned().collect()
    }

    /// Takes a path as an example, unless there are enough.
    fn offer(&mut self, path: &str) -> bool {
        let Some(found) = catalogue().resource(path) else {
            return false;
        };
        let rest = |segment: &Segment| matches!(segment, Segment::Rest(_));
        // A file system below a machine is mounted for whoever looks into it.
        if found.parameters.is_empty() || found.action.is_some() || found.resource.segments().iter().any(rest)
        {
            return false;
        }
        let Some(operation) = readable(found.resource) else {
            return false;
        };
        let count = self
            .examples
            .get(found.resource.path)
            .copied()
            .unwrap_or_default();
        let path = format!("/{}", path.trim_matches('/'));
        let known = |read: &Read| below(&read.target) == below(path.trim_start_matches('/'));
        if count >= EXAMPLES
            || self.done.iter().any(|target| below(target) == below(&path[1..]))
            || self.waiting.iter().any(known)
        {
            return false;
        }
        self.examples.insert(found.resource.path, count + 1);
        reads_of(&mut self.waiting, found.resource, operation, &path, false);
        true
    }
}

/// The path of a target, in one spelling.
fn below(target: &str) -> String {
    target.split('?').next().unwrap_or_default().to_ascii_lowercase()
}

fn reads_of(
    waiting: &mut VecDeque<Read>,
    resource: &Resource,
    operation: &Operation,
    path: &str,
    standing: bool,
) {
    let target = path.trim_start_matches('/').to_owned();
    let read = |target: String, form| Read {
        target,
        resource: resource.path.to_owned(),
        form,
        standing,
        page: None,
    };
    if operation.reference.is_none() {
        waiting.push_back(read(target, AnswerForm::Only));
        return;
    }
    // What can be queried is read in full there, page by page; its collection may be of any size.
    if resource.query.is_none() || !standing {
        waiting.push_back(read(format!("{target}?format=Entity"), AnswerForm::Entity));
    }
    waiting.push_back(read(target, AnswerForm::Reference));
}

/// The GET of a resource that needs no parameters and answers a document, if it has one.
fn readable(resource: &Resource) -> Option<&Operation> {
    let plain = |operation: &&Operation| {
        operation.method == Method::Get
            && operation.action.is_none()
            && operation.query.is_none()
            && operation.answer.is_some()
            && operation.parameters.iter().all(|parameter| !parameter.required)
    };
    resource
        .operations
        .iter()
        .find(plain)
        .filter(|_| resource.auth == Auth::Session)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(walk: &mut Walk) -> Vec<String> {
        let mut targets = Vec::new();
        while let Some(read) = walk.next() {
            walk.note(&read, &[], None);
            targets.push(read.target);
        }
        targets
    }

    #[test]
    fn every_query_and_every_address_is_read_once() {
        let targets = read_all(&mut Walk::new(1));
        let distinct: HashSet<&String> = targets.iter().collect();
        assert_eq!(distinct.len(), targets.len());
        for query in catalogue().queries() {
            let target = Read::of_query(query.name, 1).target;
            assert!(targets.contains(&target), "{target}");
        }
        assert!(targets.contains(&"backupServers".to_owned()));
        assert!(targets.iter().all(|target| !target.contains('{')), "{targets:#?}");
    }

    #[test]
    fn pages_are_turned_up_to_the_limit_and_what_is_left_is_counted() {
        let mut walk = Walk::new(3);
        let first = Read::of_query("Job", 1);
        walk.note(&first, &[], Some((1, 5)));
        for page in 2..=3 {
            let read = walk.next().unwrap();
            assert_eq!(read, Read::of_query("Job", page));
            walk.note(&read, &[], Some((u64::from(page), 5)));
        }
        assert_eq!(walk.cut, 1);
        assert_ne!(walk.next().unwrap().resource, "/query?type=Job");
    }

    #[test]
    fn a_few_examples_of_each_resource_are_read_and_no_files_of_machines() {
        let mut walk = Walk::new(1);
        let read = walk.next().unwrap();
        let paths: Vec<String> = (0..5).map(|id| format!("jobs/{id}")).collect();
        assert_eq!(walk.note(&read, &paths, None), ["jobs/0", "jobs/1"]);
        assert!(walk.note(&read, &["JOBS/1".to_owned()], None).is_empty());
        let files = catalogue()
            .resources()
            .iter()
            .filter(|r| r.path.ends_with("{filepath}"));
        let files: Vec<String> = files.map(|r| r.path.replace(['{', '}'], "")).collect();
        assert!(!files.is_empty() && walk.note(&read, &files, None).is_empty());
    }
}
