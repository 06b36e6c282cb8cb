//! What each step of an answer costs: an empty handler, then answers that go through more and more of the gateway, each less the
//! one before, round by round.

use std::collections::HashMap;
use std::path::Path;

use super::asked;
use super::subject::Found;
use crate::figures::{Figures, Row};
use crate::process::Running;

/// The read that is also asked of a gateway that logs no requests, and what is found there.
pub const LOGGED: &str = "the caller (/me)";
pub const UNLOGGED: &str = "the caller (/me), not logged";

/// What the step is, the answer that goes through it, and the one that goes through all but it.
const STEPS: &[(&str, &str, Option<&str>)] = &[
    ("the library alone: an empty handler", "empty handler", None),
    (
        "one layer that does nothing",
        "empty handler, 1 layer",
        Some("empty handler"),
    ),
    (
        "twelve layers that do nothing",
        "empty handler, 12 layers",
        Some("empty handler"),
    ),
    (
        "ids, limits of time and size, metrics, log (/healthz)",
        "health, without a token",
        Some("empty handler"),
    ),
    (
        "token, caller, limits of the caller, the body (/me)",
        LOGGED,
        Some("health, without a token"),
    ),
    ("of which the line in the log", LOGGED, Some(UNLOGGED)),
    (
        "the route of a plan, its answer remembered (304)",
        "plan, 304",
        Some(LOGGED),
    ),
    ("its body of 1 KB", "plan", Some("plan, 304")),
    ("19 plans more in the body", "list of 20 plans", Some("plan")),
    (
        "the same, compressed before",
        "list of 20 plans, gzip",
        Some("plan"),
    ),
    (
        "the mirror instead of the route",
        "plan through the mirror",
        Some("plan"),
    ),
];

/// What was found, by the name of the answer.
#[derive(Default)]
pub struct All(HashMap<&'static str, Found>);

impl All {
    pub fn of(&mut self, name: &'static str) -> &mut Found {
        self.0.entry(name).or_default()
    }
}

/// A gateway that logs no requests.
pub async fn silent(simulator: &Running, directory: &Path) -> Running {
    // Where it listens is in the log.
    let quiet = [("EMGATE_LOG", "emgate::access=off,info")];
    asked::gateway(simulator, (directory, "silent"), &[], &quiet).await
}

pub fn tell(figures: &mut Figures, found: &mut All) {
    figures.begin(
        "layers",
        "what each step adds to an answer, in microseconds of processor time",
    );
    for &(name, with, without) in STEPS {
        let micros = found.of(with).micros.clone();
        let row = match without {
            None => Row::new(name, "us", micros),
            Some(without) => {
                let row = Row::new(name, "us", micros).beside("", found.of(without).micros.clone());
                row.paired(|with, without| with - without).expect("paired")
            }
        };
        figures.add(row);
    }
}
