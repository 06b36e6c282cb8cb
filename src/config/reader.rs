//! Reads typed values from the tree, key by key, and records every fault instead of stopping at the first.
//!
//! A key that is left in a table at the end of its section is unknown. The keys that were read are recorded, so that
//! a test can compare the documented defaults with them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Fault,
    tree::{Leaf, Node},
    values,
};

/// What reading records.
#[derive(Default)]
pub(super) struct Report {
    pub faults: RefCell<Vec<Fault>>,
    pub known: RefCell<BTreeSet<String>>,
}

/// One table of the configuration, emptied while it is read.
pub(super) struct Section<'a> {
    path: String,
    table: BTreeMap<String, Node>,
    asked: BTreeSet<&'static str>,
    report: &'a Report,
}

impl<'a> Section<'a> {
    pub fn root(table: BTreeMap<String, Node>, report: &'a Report) -> Self {
        Self {
            path: String::new(),
            table,
            asked: BTreeSet::new(),
            report,
        }
    }

    /// The table under `key`, empty when absent.
    pub fn section(&mut self, key: &'static str) -> Section<'a> {
        let path = self.path_of(key);
        let table = match self.take(key) {
            Some(node) => self.table_of(&path, node),
            None => BTreeMap::new(),
        };
        Section {
            path,
            table,
            asked: BTreeSet::new(),
            report: self.report,
        }
    }

    /// The tables of the list under `key`.
    pub fn sections(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let path = self.path_of(key);
        let items = self.items(key).unwrap_or_default();
        let section = |(at, node)| {
            let path = format!("{path}[{at}]");
            let table = self.table_of(&path, node);
            Section {
                path,
                table,
                asked: BTreeSet::new(),
                report: self.report,
            }
        };
        items.into_iter().enumerate().map(section).collect()
    }

    /// The value under `key`, read by `parse`; `None` when absent or refused.
    pub fn parsed<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.value(key, |leaf| parse(text_of(leaf)?))
    }

    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.parsed(key, |text| match text.trim() {
            "" => Err("is empty".to_owned()),
            _ => Ok(text.to_owned()),
        })
    }

    pub fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    pub fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let read = |leaf: &Leaf| match (&leaf.value, &leaf.variable) {
            (toml::Value::Boolean(value), _) => Ok(*value),
            (toml::Value::String(text), Some(_)) if text == "true" => Ok(true),
            (toml::Value::String(text), Some(_)) if text == "false" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        };
        self.value(key, read).unwrap_or(default)
    }

    /// A whole number within `least..=most`.
    pub fn count(&mut self, key: &'static str, default: usize, least: usize, most: usize) -> usize {
        let read = |leaf: &Leaf| {
            whole(leaf)
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (least..=most).contains(n))
                .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
        };
        self.value(key, read).unwrap_or(default)
    }

    /// A size such as `"1MiB"`, or a bare number of bytes, within `least..=most`.
    pub fn bytes(&mut self, key: &'static str, default: usize, least: u64, most: u64) -> usize {
        let read = |leaf: &Leaf| {
            let n = match &leaf.value {
                toml::Value::Integer(n) => {
                    u64::try_from(*n).map_err(|_| "must not be negative".to_owned())?
                }
                _ => values::bytes(text_of(leaf)?)?,
            };
            match usize::try_from(n) {
                Ok(size) if (least..=most).contains(&n) => Ok(size),
                _ => Err(format!("must be from {least} to {most} bytes")),
            }
        };
        self.value(key, read).unwrap_or(default)
    }

    /// A duration within `least..=most`.
    pub fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        least: Duration,
        most: Duration,
    ) -> Duration {
        self.parsed(key, |text| bounded(text, least, most))
            .unwrap_or(default)
    }

    /// The texts of the list under `key`, each read by `parse`; `None` when absent.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let path = self.path_of(key);
        let items = self.items(key)?;
        let read = |(at, node)| self.read(&format!("{path}[{at}]"), &node, |leaf| parse(text_of(leaf)?));
        Some(items.into_iter().enumerate().filter_map(read).collect())
    }

    /// The text under `key`, or those of the list there, each read by `parse`; `None` when absent. A variable that begins
    /// with `[` is a list.
    pub fn one_or_more<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let is_one = match self.table.get(key) {
            Some(Node::Leaf(Leaf {
                value: toml::Value::String(text),
                variable,
            })) => variable.is_none() || !text.trim_start().starts_with('['),
            _ => false,
        };
        if is_one {
            self.parsed(key, parse).map(|one| vec![one])
        } else {
            self.list(key, parse)
        }
    }

    /// The lists of texts of the table under `key`, whose own keys are free; tables within it become names with dots.
    pub fn lists(&mut self, key: &'static str) -> Option<Vec<(String, Vec<String>)>> {
        let path = self.path_of(key);
        let node = self.take(key)?;
        let mut lists = Vec::new();
        self.collect_lists("", &path, self.table_of(&path, node), &mut lists);
        Some(lists)
    }

    fn collect_lists(
        &self,
        within: &str,
        path: &str,
        table: BTreeMap<String, Node>,
        lists: &mut Vec<(String, Vec<String>)>,
    ) {
        for (name, node) in table {
            let path = format!("{path}.{name}");
            let name = format!("{within}{name}");
            match node {
                Node::Table(table) => self.collect_lists(&format!("{name}."), &path, table, lists),
                Node::List(items) => {
                    let read = |(at, node)| {
                        self.read(&format!("{path}[{at}]"), &node, |leaf| {
                            text_of(leaf).map(str::to_owned)
                        })
                    };
                    let texts: Vec<String> = items.into_iter().enumerate().filter_map(read).collect();
                    if texts.is_empty() {
                        self.push(Fault::new(&path, None, "is empty"));
                    }
                    lists.push((name, texts));
                }
                leaf @ Node::Leaf(_) => {
                    let text = self.read(&path, &leaf, |leaf| text_of(leaf).map(str::to_owned));
                    lists.extend(text.map(|text| (name, vec![text])));
                }
            }
        }
    }

    /// A secret given under `key` or as the content of the file named under `key_file`. Of two, the one from
    /// the environment counts; from the same source, two are a fault.
    pub fn secret(&mut self, key: &'static str, key_file: &'static str) -> Option<SecretString> {
        self.secret_and_file(key, key_file).map(|(secret, _)| secret)
    }

    /// Like [`Self::secret`], with the file where that is what counts: it may be read again later.
    pub fn secret_and_file(
        &mut self,
        key: &'static str,
        key_file: &'static str,
    ) -> Option<(SecretString, Option<PathBuf>)> {
        let weight = |node: Option<&Node>| {
            node.map(|n| {
                matches!(
                    n,
                    Node::Leaf(Leaf {
                        variable: Some(_),
                        ..
                    })
                )
            })
        };
        match (weight(self.table.get(key)), weight(self.table.get(key_file))) {
            (Some(true), Some(false)) => drop(self.table.remove(key_file)),
            (Some(false), Some(true)) => drop(self.table.remove(key)),
            (Some(_), Some(_)) => {
                self.take(key);
                self.take(key_file);
                self.fault(
                    key,
                    &format!("is given twice: here and as `{key_file}`; keep one"),
                );
                return None;
            }
            _ => {}
        }
        let mut inline = self.text(key);
        if inline
            .as_ref()
            .is_some_and(|text| has_byte_order_mark(text.as_bytes()))
        {
            self.fault(key, &format!("begins {MARKED}"));
            inline = None;
        }
        let file = self.path(key_file);
        let content = file.as_ref().and_then(|file| self.file_text(key_file, file));
        let content = content.map(SecretString::from);
        let from_file = content.and_then(|text| match text.expose_secret().trim_end_matches(['\r', '\n']) {
            "" => {
                self.fault(key_file, "names an empty file");
                None
            }
            secret => Some((SecretString::from(secret), file)),
        });
        inline.map(|text| (SecretString::from(text), None)).or(from_file)
    }

    /// The content of a file that `key` named; a fault on `key` when it cannot be read.
    pub fn file(&self, key: &str, file: &std::path::Path) -> Option<Vec<u8>> {
        match std::fs::read(file) {
            Ok(content) if has_byte_order_mark(&content) => {
                self.fault(key, &format!("names {}, which begins {MARKED}", file.display()));
                None
            }
            Ok(content) => Some(content),
            Err(error) => {
                self.fault(key, &format!("cannot read {}: {error}", file.display()));
                None
            }
        }
    }

    /// Like [`Self::file`], for text.
    pub fn file_text(&self, key: &str, file: &std::path::Path) -> Option<String> {
        let text = String::from_utf8(self.file(key, file)?).ok();
        if text.is_none() {
            self.fault(key, &format!("names {}, which is not UTF-8 text", file.display()));
        }
        text
    }

    /// Whether `key` is given and not read yet.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A fault on `key` of this section.
    pub fn fault(&self, key: &str, message: &str) {
        self.push(Fault::new(&self.path_of(key), None, message));
    }

    /// Unwraps a required value; its absence is a fault, unless it was given and already refused.
    pub fn required<T>(&self, key: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.is_faulty(key) {
            let variable = variable_name(&self.path_of(key));
            self.fault(key, &format!("is missing; set it in the file or as {variable}"));
        }
        value
    }

    /// Whether `key`, or something below it, was refused.
    pub fn is_faulty(&self, key: &str) -> bool {
        let path = self.path_of(key);
        self.report
            .faults
            .borrow()
            .iter()
            .any(|fault| fault.key.starts_with(&path))
    }

    /// Ends the section: keys that were not read are unknown.
    pub fn finish(self) {
        for (key, node) in &self.table {
            let message = match self.asked.iter().copied().collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "is unknown".to_owned(),
                known => format!("is unknown; known here: {known}"),
            };
            self.push(Fault::new(&self.path_of(key), first_variable(node), message));
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Node> {
        self.asked.insert(key);
        self.report
            .known
            .borrow_mut()
            .insert(without_indices(&self.path_of(key)));
        self.table.remove(key)
    }

    fn value<T>(&mut self, key: &'static str, read: impl Fn(&Leaf) -> Result<T, String>) -> Option<T> {
        let node = self.take(key)?;
        self.read(&self.path_of(key), &node, read)
    }

    fn read<T>(&self, path: &str, node: &Node, read: impl Fn(&Leaf) -> Result<T, String>) -> Option<T> {
        let (message, variable) = match node {
            Node::Leaf(leaf) => match read(leaf) {
                Ok(value) => return Some(value),
                Err(message) => (message, leaf.variable.as_deref()),
            },
            other => ("must be a single value".to_owned(), first_variable(other)),
        };
        self.push(Fault::new(path, variable, message));
        None
    }

    /// The items of a list; a variable may also give it as one TOML array.
    fn items(&mut self, key: &'static str) -> Option<Vec<Node>> {
        let path = self.path_of(key);
        match self.take(key)? {
            Node::List(items) => Some(items),
            Node::Leaf(Leaf {
                value: toml::Value::String(text),
                variable: Some(variable),
            }) => {
                let item = |value| {
                    Node::Leaf(Leaf {
                        value,
                        variable: Some(variable.clone()),
                    })
                };
                let parsed = format!("list = {text}").parse::<toml::Table>();
                let list = parsed
                    .ok()
                    .filter(|table| table.len() == 1)
                    .and_then(|mut table| table.remove("list"));
                if let Some(toml::Value::Array(items)) = list {
                    return Some(items.into_iter().map(item).collect());
                }
                let message = format!("must be a list such as [\"a\", \"b\"], or {variable}__0 and so on");
                self.push(Fault::new(&path, Some(&variable), message));
                None
            }
            other => {
                self.push(Fault::new(&path, first_variable(&other), "must be a list"));
                None
            }
        }
    }

    fn table_of(&self, path: &str, node: Node) -> BTreeMap<String, Node> {
        match node {
            Node::Table(table) => table,
            other => {
                self.push(Fault::new(path, first_variable(&other), "must be a table"));
                BTreeMap::new()
            }
        }
    }

    fn push(&self, fault: Fault) {
        self.report.faults.borrow_mut().push(fault);
    }
}

/// A duration within bounds, both inclusive.
pub(super) fn bounded(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let value = values::duration(text)?;
    if value < least || value > most {
        return Err(format!("must be from {least:?} to {most:?}"));
    }
    Ok(value)
}

fn text_of(leaf: &Leaf) -> Result<&str, String> {
    leaf.value.as_str().ok_or_else(|| match &leaf.value {
        // Durations and sizes are what is written without quotes most often.
        toml::Value::Integer(number) => {
            format!("must be text in quotes, with a unit where it is a time or a size, not {number}")
        }
        _ => "must be text in quotes".to_owned(),
    })
}

fn whole(leaf: &Leaf) -> Option<i64> {
    match (&leaf.value, &leaf.variable) {
        (toml::Value::Integer(n), _) => Some(*n),
        (toml::Value::String(text), Some(_)) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The variable behind a node, or one of those below it.
fn first_variable(node: &Node) -> Option<&str> {
    match node {
        Node::Leaf(leaf) => leaf.variable.as_deref(),
        Node::Table(table) => table.values().find_map(first_variable),
        Node::List(items) => items.iter().find_map(first_variable),
    }
}

/// `upstream.accounts[0].name` as the environment writes it.
fn variable_name(path: &str) -> String {
    format!(
        "EMGATE_{}",
        path.replace('[', ".")
            .replace(']', "")
            .replace('.', "__")
            .to_ascii_uppercase()
    )
}

/// `upstream.accounts[0].name` as `upstream.accounts[].name`.
fn without_indices(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        format!("{text}[]{}", part.split_once(']').map_or("", |(_, rest)| rest))
    })
}

/// What is wrong with a marked file, and what to do about it.
const MARKED: &str =
    "with a byte order mark, which would be part of the secret; save it as UTF-8 without BOM";

/// Whether text begins with the byte order mark of UTF-8, UTF-16 or UTF-32, as editors on Windows write it.
fn has_byte_order_mark(text: &[u8]) -> bool {
    [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"]
        .iter()
        .any(|mark| text.starts_with(mark))
}
