//! The machines of an event: those that failed with their reasons, those that did not, and their numbers.

use super::body::{Counts, Data, Machine};
use super::{NAME, REASON};
use crate::domain::event::EventType;
use crate::webhooks::formats::text::clean;

/// A machine that did not succeed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::webhooks::formats) struct FailedMachine {
    pub(in crate::webhooks::formats) name: String,
    pub(in crate::webhooks::formats) reason: Option<String>,
}

/// The machine that an event about a machine is about.
pub(super) fn machine(data: &Data) -> Option<&Machine> {
    let session = data.session.as_ref()?;
    match &data.virtual_machine {
        Some(name) => session
            .virtual_machines
            .iter()
            .find(|machine| machine.name == *name),
        None => session.virtual_machines.first(),
    }
}

/// Machines that failed and machines that did not, of those that ended; of an event about one, that one.
pub(super) fn machines(kind: EventType, data: &Data) -> (Vec<FailedMachine>, Vec<String>) {
    let (mut failed, mut good) = (Vec::new(), Vec::new());
    let of_session = data.session.iter().flat_map(|session| &session.virtual_machines);
    let shown: Vec<&Machine> = match kind {
        EventType::MachineFinished => machine(data).into_iter().collect(),
        _ => of_session.collect(),
    };
    for machine in shown {
        let name = clean(&machine.name, NAME);
        match machine.result.as_deref() {
            Some("success") => good.push(name),
            Some("failed" | "warning") => failed.push(FailedMachine {
                name,
                reason: machine
                    .failure_message
                    .as_deref()
                    .map(|reason| clean(reason, REASON)),
            }),
            Some(_) | None => {}
        }
    }
    (failed, good)
}

/// How many there are, by result.
pub(super) fn machine_count(kind: EventType, data: &Data, failed: usize, good: usize) -> Option<String> {
    if let Some(counts) = &data.machines {
        let Counts { total, ended, failed } = counts;
        return Some(format!("{ended} of {total} ended, {failed} failed"));
    }
    let session = data.session.as_ref()?;
    if kind == EventType::MachineFinished || session.virtual_machines.is_empty() {
        return None;
    }
    let total = session.virtual_machines.len();
    let open = total.saturating_sub(failed + good);
    let word_for_open = match kind {
        EventType::SessionStarted | EventType::SessionProgressed if !session.has_ended() => "not ended",
        _ => "without a result",
    };
    let mut parts = vec![format!("{total} in all")];
    for (number, word) in [(failed, "failed"), (good, "succeeded"), (open, word_for_open)] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    Some(parts.join(", "))
}
