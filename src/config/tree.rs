//! File and environment merged into one tree, before keys have a meaning.
//!
//! The environment overrides the file here; types are applied later (`reader`), so that the text `0123456`
//! stays a text when the field wants one.

use std::{collections::BTreeMap, ffi::OsString};

use super::Fault;

/// Most items of a list that the environment may write; more is a typing error.
const MAX_INDEX: usize = 999;

/// A place in the configuration.
#[derive(Debug)]
pub(super) enum Node {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    Leaf(Leaf),
}

/// A value with where it came from.
#[derive(Debug)]
pub(super) struct Leaf {
    pub value: toml::Value,
    /// The environment variable; `None` when it comes from the file.
    pub variable: Option<String>,
}

impl Node {
    fn from_toml(value: toml::Value) -> Self {
        match value {
            toml::Value::Table(table) => Self::Table(
                table
                    .into_iter()
                    .map(|(key, value)| (key, Self::from_toml(value)))
                    .collect(),
            ),
            toml::Value::Array(items) => Self::List(items.into_iter().map(Self::from_toml).collect()),
            value => Self::Leaf(Leaf {
                value,
                variable: None,
            }),
        }
    }

    fn empty_for(next: Option<&String>) -> Self {
        match next {
            Some(segment) if index(segment).is_some() => Self::List(Vec::new()),
            _ => Self::Table(BTreeMap::new()),
        }
    }
}

/// The file's text as a tree; a syntax error names the place and never quotes the line, which may hold a secret.
pub(super) fn from_file(name: &str, text: &str) -> Result<BTreeMap<String, Node>, Fault> {
    match text.parse::<toml::Table>() {
        Ok(table) => Ok(table
            .into_iter()
            .map(|(key, value)| (key, Node::from_toml(value)))
            .collect()),
        Err(error) => {
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            Err(Fault::new(
                name,
                None,
                format!("is not TOML at line {line}, column {column}: {}", error.message()),
            ))
        }
    }
}

/// Overrides the tree with the variables that are configuration: those named `EMGATE_…` that contain `__`.
pub(super) fn overlay(
    root: &mut BTreeMap<String, Node>,
    environment: impl Iterator<Item = (OsString, OsString)>,
    faults: &mut Vec<Fault>,
) {
    let mut variables = Vec::new();
    for (name, value) in environment {
        let Some(name) = name.to_str() else { continue };
        let Some(rest) = name.strip_prefix("EMGATE_") else {
            continue;
        };
        if !rest.contains("__") {
            continue;
        }
        let path: Vec<String> = rest.to_ascii_lowercase().split("__").map(str::to_owned).collect();
        let key = dotted(&path);
        match value.into_string() {
            _ if path.iter().any(String::is_empty) => {
                faults.push(Fault::new(
                    &key,
                    Some(name),
                    "is not a key: a name between two `__` is empty",
                ));
            }
            Ok(text) => variables.push((path, name.to_owned(), text)),
            Err(_) => faults.push(Fault::new(&key, Some(name), "is not UTF-8")),
        }
    }
    // Indices in numerical order, so that item 10 is appended after item 9.
    variables.sort_by_cached_key(|(path, name, _)| {
        let order: Vec<_> = path.iter().map(|s| (index(s), s.clone())).collect();
        (order, name.clone())
    });
    for (path, name, text) in variables {
        let leaf = Leaf {
            value: toml::Value::String(text),
            variable: Some(name.clone()),
        };
        let mut path_left = path.iter();
        let Some(first) = path_left.next() else { continue };
        let rest: Vec<&String> = path_left.collect();
        let slot = root
            .entry(first.clone())
            .or_insert_with(|| Node::empty_for(rest.first().copied()));
        if let Err(why) = put(slot, &rest, leaf) {
            faults.push(Fault::new(&dotted(&path), Some(&name), why));
        }
    }
}

/// Puts a leaf at `path` below `node`. It replaces what the file has there; a conflict between two variables is
/// refused.
fn put(node: &mut Node, path: &[&String], leaf: Leaf) -> Result<(), String> {
    let Some((segment, rest)) = path.split_first() else {
        if let Node::Leaf(Leaf {
            variable: Some(other),
            ..
        }) = node
        {
            return Err(format!("is set by {other} as well"));
        }
        *node = Node::Leaf(leaf);
        return Ok(());
    };
    if let Node::Leaf(before) = node {
        if let Some(other) = &before.variable {
            return Err(format!("is set as a whole by {other} already"));
        }
        *node = Node::empty_for(Some(segment));
    }
    // A new node starts as what its next segment needs; at the end of the path `put` replaces it.
    let fresh = || Node::empty_for(rest.first().copied());
    match node {
        Node::Table(table) => put(table.entry((*segment).clone()).or_insert_with(fresh), rest, leaf),
        Node::List(items) => {
            let Some(at) = index(segment) else {
                return Err("is a list: its items go by number, from 0".to_owned());
            };
            if at == items.len() {
                items.push(fresh());
            }
            match items.get_mut(at) {
                Some(slot) => put(slot, rest, leaf),
                None => Err("leaves a gap: items are numbered from 0 without one".to_owned()),
            }
        }
        Node::Leaf(_) => Ok(()),
    }
}

fn index(segment: &str) -> Option<usize> {
    let canonical = segment == "0" || !segment.starts_with('0');
    segment.parse().ok().filter(|at| canonical && *at <= MAX_INDEX)
}

/// `["upstream", "accounts", "0", "name"]` as `upstream.accounts[0].name`.
fn dotted(path: &[String]) -> String {
    let mut text = String::new();
    for segment in path {
        if index(segment).is_some() {
            text.push('[');
            text.push_str(segment);
            text.push(']');
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(segment);
        }
    }
    text
}
