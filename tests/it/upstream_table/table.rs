//! The document as data: every table row whose first cell is a key in backticks.

use std::collections::BTreeMap;
use std::time::Duration;

use super::stage::Observed;

/// How much later than its time an answer may be, on a machine that does other things as well.
const GENEROSITY: Duration = Duration::from_secs(10);

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/upstream-faults.md");

/// A row's claims.
#[derive(Debug, Clone)]
pub struct Row {
    pub key: String,
    read: String,
    action: String,
    /// In patiences: `C` of the document.
    within: u32,
    operation: String,
    session: String,
    reported: String,
    posts: String,
}

/// All rows by key.
pub fn read() -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(DOCUMENT).expect("docs/upstream-faults.md");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let row = row(line);
        let key = row.key.clone();
        assert!(
            rows.insert(key.clone(), row).is_none(),
            "`{key}` stands there twice"
        );
    }
    rows
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [key, _, read, action, within, operation, session, reported, posts] = cells[..] else {
        panic!("nine cells are wanted: {line}");
    };
    let times = match within.strip_suffix('C').map(str::trim) {
        Some("") => 1,
        Some(times) => times.parse().expect(line),
        None => panic!("C gives the time: {line}"),
    };
    Row {
        key: key.trim_matches('`').to_owned(),
        read: read.to_owned(),
        action: action.to_owned(),
        within: times,
        operation: operation.to_owned(),
        session: session.to_owned(),
        reported: reported.to_owned(),
        posts: posts.to_owned(),
    }
}

impl Row {
    /// What the row says otherwise than what was seen, cell by cell.
    pub fn lies(&self, seen: &Observed) -> Vec<String> {
        let mut lies = Vec::new();
        for (cell, reported, true_one) in [
            ("read", &self.read, &seen.read),
            ("action", &self.action, &seen.action),
            ("operation", &self.operation, &seen.operation),
            ("session", &self.session, &seen.session),
            ("reported", &self.reported, &seen.reported),
            ("POSTs", &self.posts, &seen.posts),
        ] {
            if reported != true_one {
                lies.push(format!(
                    "`{}`, {cell}: the table says {reported:?}, it was {true_one:?}",
                    self.key
                ));
            }
        }
        let limit = seen.patience * self.within + GENEROSITY;
        if seen.slowest > limit {
            lies.push(format!(
                "`{}` took {:?}, more than {limit:?}",
                self.key, seen.slowest
            ));
        }
        lies
    }
}
