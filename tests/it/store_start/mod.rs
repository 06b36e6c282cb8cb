//! Real processes at the start and the end of their store: backups, names that lead to one file, unusable databases, slow starts, the version before.

mod backup;
mod names;
mod preconditions;
mod startup;
mod upgrade;

use std::path::Path;
use std::process::Stdio;

use crate::support::SECRET;
use crate::support::process::{Process, command};
use crate::waiting::output_of;

/// What a command left behind.
struct Run {
    code: Option<i32>,
    /// stdout and stderr.
    said: String,
}

/// Runs a command of `emgate` in `folder` to its end.
fn emgate(subcommand: &str, folder: &Path, store: &[(&str, &str)]) -> Run {
    let child = command(&[], &[subcommand])
        .current_dir(folder)
        .envs(SETTINGS.iter().copied())
        .envs(store.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let output = output_of(child);
    let said = [output.stdout, output.stderr].concat();
    Run {
        code: output.status.code(),
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}

/// A gateway that serves; Enterprise Manager is away.
fn gateway(store: &[(&str, &str)]) -> Process {
    let environment = [SETTINGS, store].concat();
    Process::start(&["serve"], &environment)
}

const SETTINGS: &[(&str, &str)] = &[
    ("EMGATE_SERVER__LISTEN", "127.0.0.1:0"),
    ("EMGATE_UPSTREAM__URL", "http://127.0.0.1:9"),
    ("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "operators"),
    ("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "u"),
    ("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "p"),
    ("EMGATE_AUTH__KEYS__0__KIND", "hs256"),
    ("EMGATE_AUTH__KEYS__0__SECRET", SECRET),
];
