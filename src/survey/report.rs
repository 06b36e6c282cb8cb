//! What is handed over: the sums of all reads, and a short form for people. No name, address or id is in either.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::entry::Outcome;
use super::read::Survey;
use super::schema::SchemaReport;
use super::sums::{Kind, Sums};
use super::walk::AnswerForm;
use crate::catalogue::{Kind as TypeKind, catalogue};
use crate::text::counted;

/// So many lines of each kind are in the short form.
const LINES: usize = 20;
/// So many resources are listed by their time.
const SLOWEST: usize = 5;

/// The report; its JSON is what is written to the file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The form of this document.
    pub survey: u32,
    /// The program's version.
    pub emgate: &'static str,
    /// EM's version of its REST API that was agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<&'static str>,
    pub reads: Reads,
    pub resources: Vec<ResourceSums>,
    #[serde(flatten)]
    pub sums: Sums,
    /// Types of answers that the catalogue has and nothing had.
    pub types_not_seen: Vec<&'static str>,
    pub transcoder: Transcoder,
    /// With `--xsd`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaReport>,
}

/// All reads.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reads {
    pub count: u64,
    pub bytes: u64,
    /// Without permission, or logon: 401 and 403.
    pub not_permitted: u64,
    /// Other failures, too large and timed out included.
    pub failed: u64,
    /// Queries with more pages than were read.
    pub queries_cut: u64,
}

/// What the transcoder itself did not know.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Transcoder {
    pub refused_documents: u64,
    pub unknown_names: u64,
    pub unparsed_values: u64,
    pub unknown_values: u64,
}

/// One resource of the catalogue in one form.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSums {
    pub resource: String,
    pub form: &'static str,
    pub reads: u64,
    /// How the reads ended: `read`, a status, `tooLarge`, `timedOut`, `notReadable`.
    pub outcomes: BTreeMap<String, u64>,
    pub bytes: u64,
    pub milliseconds: Times,
}

/// Times of one resource in milliseconds.
#[derive(Debug, Serialize)]
pub struct Times {
    pub median: f64,
    pub p95: f64,
    pub max: f64,
}

impl Times {
    /// `all` is not empty.
    fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        // The nearest rank: a value that was measured.
        let at = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).max(1);
            all.get(rank - 1).map_or(0.0, |ms| (ms * 10.0).round() / 10.0)
        };
        Self {
            median: at(50),
            p95: at(95),
            max: at(100),
        }
    }
}

/// What the reads of one resource came to, before it is told.
#[derive(Default)]
struct Gathered {
    times: Vec<f64>,
    bytes: u64,
    outcomes: BTreeMap<String, u64>,
}

impl ResourceSums {
    fn of(((resource, form), gathered): ((&str, AnswerForm), Gathered)) -> Self {
        Self {
            resource: resource.to_owned(),
            form: match form {
                AnswerForm::Entity => "entity",
                AnswerForm::Reference => "reference",
                AnswerForm::Only => "only",
            },
            reads: gathered.times.len() as u64,
            outcomes: gathered.outcomes,
            bytes: gathered.bytes,
            milliseconds: Times::of(gathered.times),
        }
    }
}

impl Report {
    /// Adds up what was read.
    #[must_use]
    pub fn new(survey: &Survey, api_version: Option<&'static str>, schema: Option<SchemaReport>) -> Self {
        let mut reads = Reads {
            queries_cut: survey.cut,
            ..Reads::default()
        };
        let (mut sums, mut transcoder) = (Sums::default(), Transcoder::default());
        let mut resources: BTreeMap<(&str, AnswerForm), Gathered> = BTreeMap::new();
        for entry in &survey.entries {
            sums.add(&entry.sums);
            reads.count += 1;
            reads.bytes += entry.bytes;
            match entry.outcome {
                Outcome::Read => {}
                Outcome::NotReadable => transcoder.refused_documents += 1,
                Outcome::Status(401 | 403) => reads.not_permitted += 1,
                Outcome::Status(_) | Outcome::TooLarge | Outcome::TimedOut => reads.failed += 1,
            }
            let [names, unparsed, values] = entry.anomalies;
            transcoder.unknown_names += names;
            transcoder.unparsed_values += unparsed;
            transcoder.unknown_values += values;
            let gathered = resources
                .entry((entry.read.resource.as_str(), entry.read.form))
                .or_default();
            gathered.times.push(entry.milliseconds);
            gathered.bytes += entry.bytes;
            *gathered.outcomes.entry(word(entry.outcome)).or_default() += 1;
        }
        Self {
            survey: 1,
            emgate: env!("CARGO_PKG_VERSION"),
            api_version,
            reads,
            resources: resources.into_iter().map(ResourceSums::of).collect(),
            types_not_seen: not_seen(&sums),
            sums,
            transcoder,
            schema,
        }
    }

    /// How many kinds of differences there are, those to a schema included.
    #[must_use]
    pub fn differences(&self) -> usize {
        self.sums.findings.len() + self.schema.as_ref().map_or(0, |schema| schema.differences.len())
    }

    /// The short form.
    #[must_use]
    pub fn text(&self) -> String {
        let Reads {
            count,
            bytes,
            not_permitted,
            failed,
            queries_cut,
        } = self.reads;
        let mut text = format!(
            "{} of {}, {} kB; {not_permitted} not permitted, {failed} failed; {} of the queries with more pages\n\
             {} seen, {} of the catalogue's not\n",
            counted(count, "read"),
            counted(self.resources.len(), "resource"),
            bytes / 1000,
            queries_cut,
            counted(self.sums.types.len(), "type"),
            self.types_not_seen.len(),
        );
        let mut slowest: Vec<&ResourceSums> = self.resources.iter().collect();
        slowest.sort_by(|a, b| b.milliseconds.max.total_cmp(&a.milliseconds.max));
        text.push_str("slowest:\n");
        for resource in slowest.iter().take(SLOWEST) {
            let Times { median, p95, max } = resource.milliseconds;
            text.push_str(&format!(
                "  {} ({}): median {median} ms, p95 {p95} ms, max {max} ms\n",
                resource.resource, resource.form
            ));
        }
        if self.differences() == 0 {
            text.push_str("nothing differs from the catalogue\n");
        }
        let mut kinds: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
        for (finding, count) in &self.sums.findings {
            let dot = if finding.field.is_empty() || finding.ty.is_empty() {
                ""
            } else {
                "."
            };
            let colon = if finding.detail.is_empty() { "" } else { ": " };
            kinds.entry(finding.kind).or_default().push(format!(
                "  {count} × {}{dot}{}{colon}{}\n",
                finding.ty, finding.field, finding.detail
            ));
        }
        for (kind, lines) in kinds {
            text.push_str(&format!("{}:\n", kind.words()));
            push_some(&mut text, &lines);
        }
        if let Some(schema) = &self.schema {
            text.push_str(&format!(
                "schema: {} compared, {}\n",
                counted(schema.types_compared, "type"),
                counted(schema.differences.len(), "difference")
            ));
            let lines: Vec<String> = schema
                .differences
                .iter()
                .map(|one| format!("  {one}\n"))
                .collect();
            push_some(&mut text, &lines);
        }
        text
    }
}

/// The first lines, and how many there are besides.
fn push_some(text: &mut String, lines: &[String]) {
    text.extend(lines.iter().take(LINES).map(String::as_str));
    if lines.len() > LINES {
        text.push_str(&format!("  and {} more, in the file\n", lines.len() - LINES));
    }
}

fn word(outcome: Outcome) -> String {
    match outcome {
        Outcome::Read => "read".to_owned(),
        Outcome::NotReadable => "notReadable".to_owned(),
        Outcome::Status(status) => status.to_string(),
        Outcome::TooLarge => "tooLarge".to_owned(),
        Outcome::TimedOut => "timedOut".to_owned(),
    }
}

/// Types that answers may have and none had.
fn not_seen(sums: &Sums) -> Vec<&'static str> {
    let answers = catalogue().types().map(|(_, ty)| ty);
    let names: BTreeSet<&str> = answers
        .filter(|ty| matches!(ty.kind, TypeKind::Entity | TypeKind::Resource) && !ty.roots.is_empty())
        .map(|ty| ty.name)
        .filter(|name| !sums.types.contains_key(*name))
        .collect();
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_the_nearest_rank() {
        let Times { median, p95, max } = Times::of((1..=20).rev().map(f64::from).collect());
        assert_eq!((median, p95, max), (10.0, 19.0, 20.0));
        let Times { median, p95, max } = Times::of(vec![7.04]);
        assert_eq!((median, p95, max), (7.0, 7.0, 7.0));
    }
}
