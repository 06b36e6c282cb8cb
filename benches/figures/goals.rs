//! What the figures are to reach: one place for each goal.

use serde::{Deserialize, Serialize};

use super::Row;

/// What the median of a row is held against.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// Divided by its yardstick.
    ShareAtLeast(f64),
    ShareAtMost(f64),
    /// Less its yardstick.
    BeyondAtMost(f64),
}

use Goal::{AtLeast, AtMost, BeyondAtMost, ShareAtLeast, ShareAtMost};

impl Goal {
    pub fn is_met(self, row: &Row) -> bool {
        let median = row.spread().median;
        let share = row.share().map_or(f64::NAN, |share| share.median);
        let beyond = row.beyond().map_or(f64::NAN, |beyond| beyond.median);
        match self {
            AtMost(most) => median <= most,
            AtLeast(least) => median >= least,
            ShareAtLeast(least) => share >= least,
            ShareAtMost(most) => share <= most,
            BeyondAtMost(most) => beyond <= most,
        }
    }
}

/// Group, row, goal.
pub const GOALS: &[(&str, &str, Goal)] = &[
    ("reads", "plan", ShareAtLeast(0.6)),
    ("reads", "list of 20 plans", ShareAtLeast(0.6)),
    ("reads", "plan through the mirror", ShareAtLeast(0.6)),
    ("reads", "plans through the mirror", ShareAtLeast(0.6)),
    ("reads", "50 operations", ShareAtLeast(0.3)),
    ("reads", "50 events", ShareAtLeast(0.3)),
    ("uncached", "plan, beside Envoy", ShareAtLeast(1.0)),
    ("pace", "plan, p99", BeyondAtMost(2.0)),
    ("pace", "list of 20 plans, p99", BeyondAtMost(2.0)),
    ("pace", "plan through the mirror, p99", BeyondAtMost(2.0)),
    // The many cost a request for each second that an answer is remembered; a lone caller comes up to a pause later, 0.3 s.
    ("pollers", "plan", ShareAtMost(1.3)),
    ("pollers", "list of 20 plans", ShareAtMost(1.3)),
    // What has no reason to grow at all; the rest is in `of`.
    ("growth", "50 events, by events kept", AtMost(0.2)),
    ("growth", "50 operations, by operations kept", AtMost(0.2)),
    ("growth", "a list from memory, by its plans", AtMost(0.5)),
    (
        "growth",
        "a start to the first delivery, by those that wait",
        AtMost(0.5),
    ),
    ("growth", "a look at EM, by failovers of the past", AtMost(0.5)),
    ("deliveries", "SQLite, to 1, beside commits", ShareAtLeast(0.5)),
    ("deliveries", "SQLite, to 100, beside commits", ShareAtLeast(0.5)),
    ("deliveries", "SQLite, to 1, beside the client", ShareAtLeast(0.2)),
    (
        "deliveries",
        "SQLite, to 100, beside the client",
        ShareAtLeast(0.2),
    ),
    (
        "deliveries",
        "PostgreSQL, to 1, beside commits",
        ShareAtLeast(0.5),
    ),
    (
        "deliveries",
        "PostgreSQL, to 100, beside commits",
        ShareAtLeast(0.5),
    ),
    (
        "deliveries",
        "PostgreSQL, to 1, beside the client",
        ShareAtLeast(0.2),
    ),
    (
        "deliveries",
        "PostgreSQL, to 100, beside the client",
        ShareAtLeast(0.2),
    ),
    ("latency", "SQLite, beside 1 that hang, p99", ShareAtMost(1.2)),
    ("latency", "SQLite, beside 50 that hang, p99", ShareAtMost(1.2)),
    ("latency", "PostgreSQL, beside 1 that hang, p99", ShareAtMost(1.2)),
    (
        "latency",
        "PostgreSQL, beside 50 that hang, p99",
        ShareAtMost(1.2),
    ),
    ("backlog", "first delivery after ready", AtMost(1_000.0)),
    ("backlog", "memory beside idle", AtMost(33.6)),
    ("transcode", "query result, JSON to XML", ShareAtLeast(0.5)),
    ("transcode", "job, JSON to XML", ShareAtLeast(0.5)),
    ("transcode", "task, JSON to XML", ShareAtLeast(0.5)),
    ("reports", "100 machines as html", AtMost(30.0)),
    ("reports", "1000 machines as html", AtMost(200.0)),
];

/// The goal of a row. All growth has one: no figure grows faster than its work.
pub fn of(group: &str, name: &str) -> Option<Goal> {
    let named = GOALS.iter().find(|goal| (goal.0, goal.1) == (group, name));
    named
        .map(|goal| goal.2)
        .or_else(|| (group == "growth").then_some(AtMost(1.1)))
}
