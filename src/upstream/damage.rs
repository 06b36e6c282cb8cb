//! Records of EM's that cannot be read as they are: which ones there are, each named in the log once.
//!
//! One record that is damaged costs itself. Whoever reads a list passes it over and notes it here; whoever reads it well
//! again, or finds it gone, lets it be forgotten. Readiness and the metrics show how many there are.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::id::EmId;
use crate::telemetry::names;
use crate::text::counted;

/// How long a record counts as damaged after it was last found so.
const GOOD_FOR: Duration = Duration::from_mins(10);

/// The most records remembered; those beyond are passed over as well, and neither named nor counted.
const MOST: usize = 10_000;

/// A record in a list of EM's that could not be read as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The ids that it may have; none where that part is damaged too.
    pub ids: Vec<EmId>,
    /// When EM made it, where that can be read.
    pub created: Option<Timestamp>,
    /// What is wrong with it; at most names are quoted.
    pub reason: String,
    /// Whether it was read all the same, with U+FFFD in place of what no document may hold.
    pub repaired: bool,
}

/// The records that are damaged, by EM's type and their id.
#[derive(Default)]
pub(super) struct Damages(Mutex<HashMap<(&'static str, String), Entry>>);

struct Entry {
    since: Timestamp,
    /// A list that is read again and again found it.
    watched: bool,
    /// When another reader met it last.
    met: Option<Timestamp>,
}

impl Damages {
    /// Takes note of one page, or of one record: what could be read, and what could not.
    pub fn met<'a>(
        &self,
        kind: &'static str,
        read: impl IntoIterator<Item = &'a EmId>,
        damaged: &[Damaged],
        now: Timestamp,
    ) {
        let mut entries = self.entries();
        if entries.is_empty() && damaged.is_empty() {
            return;
        }
        let repaired = |id: &EmId| damaged.iter().any(|one| one.ids.contains(id));
        for id in read {
            let entry = entries.get(&(kind, id.key()));
            if entry.is_some_and(|entry| !entry.watched) && !repaired(id) {
                entries.remove(&(kind, id.key()));
                tell_healed(kind, id.as_str());
            }
        }
        let ids = damaged
            .iter()
            .flat_map(|one| one.ids.iter().map(move |id| (id, one)));
        for (id, one) in ids {
            if let Some(entry) = enter(&mut entries, kind, id.as_str(), &one.reason, now) {
                entry.met = Some(now);
            }
        }
        for (place, one) in damaged.iter().filter(|one| one.ids.is_empty()).enumerate() {
            if let Some(entry) = enter(&mut entries, kind, &nameless(place), &one.reason, now) {
                entry.met = Some(now);
            }
        }
        publish(&entries, kind, now);
    }

    /// Takes note of one record that is read by itself alone: why it could not be read, if it could not.
    pub fn met_alone(&self, kind: &'static str, name: &str, fault: Option<String>, now: Timestamp) {
        let mut entries = self.entries();
        match fault {
            Some(reason) => {
                if let Some(entry) = enter(&mut entries, kind, name, &reason, now) {
                    entry.met = Some(now);
                }
            }
            None => {
                if entries.remove(&(kind, name.to_ascii_lowercase())).is_none() {
                    return;
                }
                tell_healed(kind, name);
            }
        }
        publish(&entries, kind, now);
    }

    /// Takes note of all records of a type that are damaged, by id (none where it has none that can be read) with the
    /// reason.
    pub fn watched(&self, kind: &'static str, damaged: &[(Option<EmId>, String)], now: Timestamp) {
        let mut entries = self.entries();
        if entries.is_empty() && damaged.is_empty() {
            return;
        }
        let mut keys = Vec::with_capacity(damaged.len());
        let mut without = 0;
        for (id, reason) in damaged {
            let name = match id {
                Some(id) => id.as_str().to_owned(),
                None => {
                    without += 1;
                    nameless(without - 1)
                }
            };
            if let Some(entry) = enter(&mut entries, kind, &name, reason, now) {
                entry.watched = true;
            }
            keys.push(name.to_ascii_lowercase());
        }
        entries.retain(|(of, key), entry| {
            let over = *of == kind && entry.watched && !keys.contains(key);
            if over {
                tell_healed(kind, key);
            }
            !over
        });
        publish(&entries, kind, now);
    }

    /// Since when there are damaged records, and of which types how many, in a sentence; none when there are none.
    pub fn summary(&self, now: Timestamp) -> Option<(Timestamp, String)> {
        let entries = self.entries();
        let mut counts: Vec<(&'static str, usize)> = Vec::new();
        let mut since: Option<Timestamp> = None;
        for ((kind, _), entry) in entries.iter().filter(|(_, entry)| entry.is_there(now)) {
            since = Some(since.map_or(entry.since, |since| since.min(entry.since)));
            match counts.iter_mut().find(|(known, _)| known == kind) {
                Some((_, count)) => *count += 1,
                None => counts.push((kind, 1)),
            }
        }
        counts.sort_unstable();
        let words: Vec<String> = counts
            .iter()
            .map(|(kind, count)| counted(*count, noun(kind)))
            .collect();
        let many = counts.iter().map(|(_, count)| count).sum::<usize>() != 1;
        let verb = if many { "are" } else { "is" };
        Some((
            since?,
            format!("{} {verb} damaged at Enterprise Manager", words.join(" and ")),
        ))
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<(&'static str, String), Entry>> {
        self.0.lock()
    }
}

impl Entry {
    fn is_there(&self, now: Timestamp) -> bool {
        self.watched
            || self
                .met
                .is_some_and(|met| now.duration_since(met).unsigned_abs() < GOOD_FOR)
    }
}

/// What a record is called that has no id: by its place among those.
fn nameless(place: usize) -> String {
    format!("without an id ({})", place + 1)
}

/// The entry of a record, which is named in the log when it is new.
fn enter<'a>(
    entries: &'a mut HashMap<(&'static str, String), Entry>,
    kind: &'static str,
    name: &str,
    reason: &str,
    now: Timestamp,
) -> Option<&'a mut Entry> {
    let key = (kind, name.to_ascii_lowercase());
    if !entries.get(&key).is_some_and(|entry| entry.is_there(now)) {
        if entries.len() >= MOST {
            entries.retain(|_, entry| entry.is_there(now));
        }
        if entries.len() >= MOST {
            return None;
        }
        metrics::counter!(names::DAMAGED_RECORDS, "type" => kind).increment(1);
        tracing::warn!(
            kind,
            record = name,
            reason,
            "a record of Enterprise Manager is damaged; it is processed once it can be read, and other \
             records are not affected"
        );
        let entry = Entry {
            since: now,
            watched: false,
            met: None,
        };
        entries.insert(key.clone(), entry);
    }
    entries.get_mut(&key)
}

fn tell_healed(kind: &'static str, record: &str) {
    tracing::info!(
        kind,
        record,
        "a damaged record of Enterprise Manager can be read again, or is gone"
    );
}

#[expect(clippy::cast_precision_loss, reason = "a count, far below 2^52")]
fn publish(entries: &HashMap<(&'static str, String), Entry>, kind: &'static str, now: Timestamp) {
    let there = entries
        .iter()
        .filter(|((of, _), entry)| *of == kind && entry.is_there(now))
        .count();
    metrics::gauge!(names::DAMAGED_NOW, "type" => kind).set(there as f64);
}

/// What people call a record of that type.
fn noun(kind: &str) -> &'static str {
    match kind {
        "CloudFailoverSession" => "failover session",
        "CloudFailoverPlan" | "FailoverPlan" => "failover plan",
        "Task" => "task",
        _ => "record",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).expect("a moment")
    }

    fn id(number: u8) -> EmId {
        format!("{number:08x}-0248-4884-9832-17ec982ee393")
            .parse()
            .expect("an id")
    }

    fn damaged(ids: &[EmId]) -> Damaged {
        Damaged {
            ids: ids.to_vec(),
            created: None,
            reason: "it is not XML".into(),
            repaired: false,
        }
    }

    fn words(damages: &Damages, minute: i64) -> Option<String> {
        damages.summary(at(minute)).map(|(_, words)| words)
    }

    #[test]
    fn damaged_records_are_counted_by_type_since_the_first_of_them() {
        let damages = Damages::default();
        assert_eq!(damages.summary(at(0)), None);
        damages.watched("CloudFailoverSession", &[(Some(id(1)), "x".into())], at(0));
        damages.watched(
            "CloudFailoverSession",
            &[(Some(id(1)), "x".into()), (None, "x".into())],
            at(1),
        );
        damages.met("FailoverPlan", [], &[damaged(&[id(1)])], at(2));
        assert_eq!(
            damages.summary(at(3)),
            Some((
                at(0),
                "2 failover sessions and 1 failover plan are damaged at Enterprise Manager".to_owned()
            ))
        );
    }

    #[test]
    fn a_record_is_forgotten_when_it_is_read_or_no_longer_met() {
        let damages = Damages::default();
        damages.met("CloudFailoverPlan", [], &[damaged(&[id(1)]), damaged(&[])], at(0));
        assert_eq!(
            words(&damages, 9).as_deref(),
            Some("2 failover plans are damaged at Enterprise Manager")
        );
        damages.met("CloudFailoverPlan", [&id(1)], &[], at(9));
        assert_eq!(
            words(&damages, 9).as_deref(),
            Some("1 failover plan is damaged at Enterprise Manager")
        );
        assert_eq!(words(&damages, 10), None);
        damages.watched("CloudFailoverSession", &[(Some(id(2)), "x".into())], at(0));
        assert!(words(&damages, 1_000).is_some());
        damages.watched("CloudFailoverSession", &[], at(1_000));
        assert_eq!(words(&damages, 1_000), None);
    }

    #[test]
    fn a_record_that_was_read_with_its_characters_replaced_stays_a_damaged_one() {
        let damages = Damages::default();
        damages.met("CloudFailoverPlan", [&id(1)], &[damaged(&[id(1)])], at(0));
        damages.met("CloudFailoverPlan", [&id(1)], &[damaged(&[id(1)])], at(1));
        assert!(words(&damages, 1).is_some());
    }
}
