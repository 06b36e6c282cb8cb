//! Cuts an observation into parts that are written one after another. Pure.
//!
//! First what the store knows, because it waits for nothing; then what has to be read first. All sessions that an
//! operation could be joined with are in one part, because whether there is a second candidate shows only there.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::operation::Operation;
use crate::domain::plan::PlanRef;
use crate::domain::session::SessionFacts;

/// How many sessions a part has at the most, those aside that operations may be joined with. Fewer where the store is too
/// slow for as many, so that a part is written in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(usize);

impl Size {
    pub const FULL: Self = Self(200);
    const LEAST: usize = 10;

    /// After a part that took too long.
    pub fn less(self) -> Self {
        Self((self.0 / 2).max(Self::LEAST))
    }

    /// After an observation that went well.
    pub fn more(self) -> Self {
        Self((self.0 * 2).min(Self::FULL.0))
    }
}

/// Sessions that are written together.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub sessions: Vec<Arc<SessionFacts>>,
    /// Whether there are such whose end or beginning is news, and of which more has to be read.
    pub reads: bool,
    /// Whether all candidates of operations that wait for their session are in it.
    pub join: bool,
}

/// The parts of an observation, one at least. `known`: the keys of the sessions that the store knows. `baseline`: it is the
/// first observation of a store, to which sessions that have stopped are no news.
pub(super) fn cut(
    sessions: Vec<Arc<SessionFacts>>,
    known: &HashSet<String>,
    operations: &[Operation],
    baseline: bool,
    Size(most): Size,
) -> Vec<Part> {
    let wanted = wanted_by(operations);
    let (wanted, others): (Vec<_>, Vec<_>) = sessions.into_iter().partition(|facts| wanted(facts));
    let (known_ones, new): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|facts| known.contains(&facts.id.key()));
    let mut pieces: Vec<(Vec<Arc<SessionFacts>>, bool)> = Vec::new();
    pieces.extend(chunks(known_ones, most).map(|piece| (piece, false)));
    pieces.push((wanted, true));
    pieces.extend(chunks(new, most).map(|piece| (piece, false)));
    let mut parts: Vec<Part> = Vec::new();
    for (sessions, join) in pieces {
        let reads = sessions.iter().any(|facts| is_news(facts, known, baseline));
        match parts.last_mut() {
            Some(last)
                if last.sessions.is_empty()
                    || (last.sessions.len() + sessions.len() <= most && (last.reads || !reads)) =>
            {
                last.sessions.extend(sessions);
                last.reads |= reads;
                last.join |= join;
            }
            _ => parts.push(Part {
                sessions,
                reads,
                join,
            }),
        }
    }
    parts
}

/// Which sessions operations may be joined with that wait for theirs.
pub(super) fn wanted_by(operations: &[Operation]) -> impl Fn(&SessionFacts) -> bool {
    let waiting: Vec<&PlanRef> = operations
        .iter()
        .filter(|operation| operation.session.is_none() && operation.expects_session())
        .filter_map(|operation| operation.plan.as_ref())
        .collect();
    move |facts| {
        waiting
            .iter()
            .any(|plan| facts.plan_name == plan.name || facts.job.as_ref() == Some(&plan.id))
    }
}

/// Whether the appearance of a session is reported.
pub(super) fn is_news(facts: &SessionFacts, known: &HashSet<String>, baseline: bool) -> bool {
    let is_known = known.contains(&facts.id.key());
    let is_history = baseline && facts.state.is_stopped();
    !is_known && !is_history
}

fn chunks<T>(sessions: Vec<T>, most: usize) -> impl Iterator<Item = Vec<T>> {
    let mut sessions = sessions.into_iter();
    std::iter::from_fn(move || {
        let chunk: Vec<T> = sessions.by_ref().take(most).collect();
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
#[path = "batches_tests.rs"]
mod tests;
