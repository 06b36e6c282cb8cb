//! The configuration: one file and the environment, read once, checked as a whole, returned as typed sections.
//!
//! Each section belongs to a room and is that room's `Config`; no room imports this module. Reading never
//! stops at the first mistake: every fault names its key and all are reported together, without values that
//! could be secrets. The environment is an argument, so that a test need not touch the real one.
//! Keys, defaults and reasons: `emgate.default.toml`. Tests: `tests/it/config.rs`.

mod auth;
mod certificates;
mod policies;
mod reader;
mod sections;
mod shown;
mod tree;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use crate::{
    app::config::{Policies, Reports},
    auth::config::AuthConfig,
    http, store, upstream, watcher, webhooks,
};

/// Every key with its default, meaning, unit and reason, as TOML.
pub const DEFAULTS: &str = include_str!("emgate.default.toml");

/// The whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    pub server: http::config::Config,
    pub upstream: upstream::config::Config,
    pub auth: AuthConfig,
    pub store: store::config::Config,
    pub retention: store::config::Retention,
    pub watch: watcher::config::Config,
    pub webhooks: webhooks::config::Config,
    pub policies: Policies,
    pub reports: Reports,
}

/// One thing that is wrong with the configuration. Its text never carries a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, such as `upstream.accounts[0].password`, or the file's name.
    pub key: String,
    /// The environment variable that it came from, if it did.
    pub variable: Option<String>,
    /// What is wrong, continuing "the key …".
    pub message: String,
}

impl Fault {
    fn new(key: &str, variable: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            variable: variable.map(str::to_owned),
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.variable {
            Some(variable) => write!(f, "{} (from {variable}) {}", self.key, self.message),
            None => write!(f, "{} {}", self.key, self.message),
        }
    }
}

impl Config {
    /// What is odd about it and no fault, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let Policies(policies) = &self.policies;
        let never = policies.iter().filter_map(|policy| {
            let reason = policy.matching.never_fits()?;
            Some(format!("the policy `{}` can never match: {reason}", policy.name))
        });
        never.collect()
    }
}

/// All faults of a configuration.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    /// At least one, in the order of the keys.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.faults.len() == 1 { "" } else { "s" };
        write!(f, "the configuration has {} fault{plural}:", self.faults.len())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

/// Which file `serve` and its like read: the one asked for, else `EMGATE_CONFIG`, else `./emgate.toml` if present.
#[must_use]
pub fn locate(asked: Option<PathBuf>, emgate_config: Option<OsString>) -> Option<PathBuf> {
    asked
        .or_else(|| emgate_config.filter(|name| !name.is_empty()).map(PathBuf::from))
        .or_else(|| Some(PathBuf::from("emgate.toml")).filter(|file| file.exists()))
}

/// Reads a file (if there is one) and overrides it with the environment.
///
/// # Errors
/// All faults together: syntax, unknown keys, bad values, missing keys, unreadable files.
pub fn load<K, V>(file: Option<&Path>, environment: impl IntoIterator<Item = (K, V)>) -> Result<Config, Error>
where
    K: Into<OsString>,
    V: Into<OsString>,
{
    let (name, text) = text_of(file)?;
    read(&name, &text, environment).whole()
}

/// Reads `[upstream]` of a file (if there is one) and of the environment, for a command that needs nothing else.
///
/// # Errors
/// Unreadable files, syntax, and the faults of that section; those of others do not count.
pub fn load_upstream<K, V>(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (K, V)>,
) -> Result<upstream::config::Config, Error>
where
    K: Into<OsString>,
    V: Into<OsString>,
{
    let (name, text) = text_of(file)?;
    let Found {
        config, mut faults, ..
    } = read(&name, &text, environment);
    // What hinders the reading of a file is told by its name.
    faults.retain(|fault| fault.key.starts_with("upstream") || config.is_none());
    match config {
        Some(config) if faults.is_empty() => Ok(config.upstream),
        _ => Err(Error { faults }),
    }
}

/// The name and the text of a file; nothing where there is none.
fn text_of(file: Option<&Path>) -> Result<(String, String), Error> {
    let Some(file) = file else {
        return Ok(("the configuration file".to_owned(), String::new()));
    };
    let name = file.display().to_string();
    let fault = |message: String| Error {
        faults: vec![Fault::new(&name, None, message)],
    };
    match std::fs::read(file).map(String::from_utf8) {
        Ok(Ok(text)) => Ok((name, text)),
        Ok(Err(_)) => Err(fault("is not UTF-8 text".to_owned())),
        Err(error) => Err(fault(format!("cannot be read: {error}"))),
    }
}

/// Reads a file's text and overrides it with the environment.
///
/// # Errors
/// As [`load`].
pub fn parse<K, V>(text: &str, environment: impl IntoIterator<Item = (K, V)>) -> Result<Config, Error>
where
    K: Into<OsString>,
    V: Into<OsString>,
{
    read("the configuration file", text, environment).whole()
}

/// The keys that reading this text asks for, list items as `[]`. For the test that compares the documented defaults
/// with the program.
#[must_use]
pub fn known_keys(text: &str) -> BTreeSet<String> {
    read(
        "the configuration file",
        text,
        std::iter::empty::<(OsString, OsString)>(),
    )
    .known
}

/// What a reading came to.
struct Found {
    /// Not to be used while there are faults in what is used of it.
    config: Option<Config>,
    faults: Vec<Fault>,
    known: BTreeSet<String>,
}

impl Found {
    fn whole(self) -> Result<Config, Error> {
        let Self { config, faults, .. } = self;
        match config {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(Error { faults }),
        }
    }
}

fn read<K, V>(name: &str, text: &str, environment: impl IntoIterator<Item = (K, V)>) -> Found
where
    K: Into<OsString>,
    V: Into<OsString>,
{
    let mut faults = Vec::new();
    let mut root = match tree::from_file(name, text) {
        Ok(root) => root,
        Err(fault) => {
            // Without the file every key would seem missing, so only its syntax error is reported.
            return Found {
                config: None,
                faults: vec![fault],
                known: BTreeSet::new(),
            };
        }
    };
    let environment = environment
        .into_iter()
        .map(|(key, value)| (key.into(), value.into()));
    tree::overlay(&mut root, environment, &mut faults);
    let report = reader::Report::default();
    report.faults.replace(faults);
    let defaults = tree::from_file("the defaults", DEFAULTS).unwrap_or_default();
    let shown = shown::shown(&defaults, &root);
    let mut config = sections::config(root, &report);
    if let Some(config) = &mut config {
        config.server.shown = shown;
    }
    let mut faults = report.faults.into_inner();
    faults.sort_by(|a, b| a.key.cmp(&b.key));
    faults.dedup();
    Found {
        config,
        faults,
        known: report.known.into_inner(),
    }
}

/// Reads a duration as the configuration writes it, for command lines that take one.
///
/// # Errors
/// A sentence saying what would have been right.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    values::duration(text)
}

type Table = BTreeMap<String, tree::Node>;
