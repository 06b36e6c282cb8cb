//! Failover sessions that the query shows and that cannot be read there: each is read by itself, less and less often.
//!
//! Invariant: a session that EM shows is never counted as absent, however damaged its row is; and what is damaged neither
//! holds up nor hides what is not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::lookups::{Lookup, LookupKey};
use super::poll_backoff::PollBackoff;
use super::{Error, Watcher};
use crate::domain::id::EmId;
use crate::domain::session::{SessionFacts, SessionState};
use crate::store;
use crate::upstream::Walked;

/// How long damaged sessions that are read by themselves are waited for; what comes later is used by a later observation.
const WAIT: Duration = Duration::from_secs(1);

/// How many are asked for in one observation.
const MOST: usize = 50;

/// How long one that has ended, and whose row is damaged, is remembered after the query showed it last.
const FORGOTTEN: Duration = Duration::from_mins(5);

/// How long a session may be without a `State` that is known before it counts as damaged.
const STATE_GRACE: Duration = Duration::from_mins(1);

/// What is known of the sessions that are damaged.
#[derive(Default)]
pub(super) struct Damaged {
    alone: HashMap<EmId, Alone>,
    /// Since when sessions have no `State` that is known.
    stateless: HashMap<EmId, Timestamp>,
}

/// A session that is read by itself.
struct Alone {
    pace: PollBackoff,
    created: Timestamp,
    /// When the query last showed it.
    shown: Timestamp,
    /// What is wrong with its row; none when it may only be behind a row without an id.
    reason: Option<String>,
    answer: Answer,
}

/// What reading it by itself showed last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Nothing,
    /// It runs.
    Running,
    /// It has ended and has its result: nothing more will come.
    Over,
    /// EM does not know it.
    Unknown,
}

impl Damaged {
    /// When the oldest of them was made, to which the query has to reach back from time to time.
    pub fn oldest(&self) -> Option<Timestamp> {
        let rows = self
            .alone
            .values()
            .filter(|alone| alone.reason.is_some() && alone.answer != Answer::Over);
        rows.map(|alone| alone.created).min()
    }

    /// Takes over what the rows of an observation say, `read` being the sessions that could be read.
    fn take_rows(
        &mut self,
        rows: &[crate::upstream::Damaged],
        read: &HashSet<EmId>,
        suspects: Vec<EmId>,
        far: bool,
        now: Timestamp,
        new: impl Fn() -> Alone,
    ) -> HashSet<EmId> {
        let mut shown = HashSet::new();
        for row in rows.iter().filter(|row| !row.repaired) {
            for id in row.ids.iter().filter(|id| !read.contains(*id)) {
                let alone = self.alone.entry(id.clone()).or_insert_with(&new);
                alone.reason = Some(row.reason.clone());
                alone.created = row.created.unwrap_or(alone.created);
                alone.shown = now;
                shown.insert(id.clone());
            }
        }
        let suspects: HashSet<EmId> = suspects.into_iter().filter(|id| !shown.contains(id)).collect();
        for id in &suspects {
            self.alone.entry(id.clone()).or_insert_with(&new);
        }
        self.alone.retain(|id, alone| {
            // Most observations do not reach back to it, which says nothing.
            let beyond = match alone.answer {
                Answer::Unknown => false,
                Answer::Over => now.duration_since(alone.shown).unsigned_abs() < FORGOTTEN,
                Answer::Nothing | Answer::Running => !far && alone.reason.is_some(),
            };
            !read.contains(id) && (shown.contains(id) || suspects.contains(id) || beyond)
        });
        shown
    }
}

impl Watcher {
    /// Adds sessions whose rows are damaged and that can be read by themselves; those that are there and could not be
    /// read now. `far`: the query reached back to all that are known to be damaged.
    pub(super) async fn add_damaged(
        &mut self,
        walked: Walked,
        far: bool,
    ) -> Result<(Vec<Arc<SessionFacts>>, HashSet<EmId>), Error> {
        let Walked {
            mut sessions,
            damaged: rows,
        } = walked;
        let now = self.clock.now();
        let mut read: HashSet<EmId> = HashSet::new();
        if !rows.is_empty() || !self.damaged.alone.is_empty() {
            read.extend(sessions.iter().map(|facts| facts.id.clone()));
        }
        let nameless = rows.iter().filter(|row| row.ids.is_empty()).count();
        let suspects = if nameless > 0 {
            // Any session that is missed may be the one behind a row without an id.
            let open = store::with_timeout(self.store.open_session_ids()).await?;
            open.into_iter().filter(|id| !read.contains(id)).collect()
        } else {
            Vec::new()
        };
        let new = || Alone {
            pace: PollBackoff::patient(self.config.interval, now),
            created: now,
            shown: now,
            reason: None,
            answer: Answer::Nothing,
        };
        let shown = self.damaged.take_rows(&rows, &read, suspects, far, now, new);
        if !self.damaged.alone.is_empty() {
            self.read_alone(&mut sessions, now).await;
        }
        let unread = self
            .damaged
            .alone
            .iter()
            .filter(|(id, alone)| shown.contains(*id) || alone.answer != Answer::Unknown)
            .map(|(id, _)| id.clone())
            .collect();
        self.note_damaged(&rows, &sessions, now);
        Ok((sessions, unread))
    }

    /// Asks for those that are due, and takes up what has been answered by now.
    async fn read_alone(&mut self, sessions: &mut Vec<Arc<SessionFacts>>, now: Timestamp) {
        let mut questions = Vec::new();
        for (id, alone) in &mut self.damaged.alone {
            let question = LookupKey::Session(id.clone());
            let answered = matches!(self.lookups.sessions.get(id), Some(Lookup::Found(_)));
            let over = alone.answer == Answer::Over;
            if !answered
                && !over
                && questions.len() < MOST
                && !self.lookups.is_asking(&question)
                && alone.pace.is_due(now)
            {
                self.lookups.ask_session(id);
                questions.push(question);
            }
        }
        self.lookups.wait(&questions, WAIT, WAIT).await;
        for (id, alone) in &mut self.damaged.alone {
            match self.lookups.sessions.get(id) {
                Some(Lookup::Found(facts)) => {
                    sessions.push(Arc::clone(facts));
                    let over = facts.state.is_stopped() && facts.result.is_some();
                    if !over && alone.answer != Answer::Running {
                        // From here on there is something to follow.
                        alone.pace = PollBackoff::new(self.config.interval, now);
                        alone.pace.is_due(now);
                    }
                    alone.answer = if over { Answer::Over } else { Answer::Running };
                }
                Some(Lookup::NotFound) => alone.answer = Answer::Unknown,
                Some(Lookup::Failed) | None => {}
            }
            self.lookups.sessions.remove(id);
        }
    }

    /// Says, once each, which sessions are damaged, and which have no `State` that is known.
    fn note_damaged(
        &mut self,
        rows: &[crate::upstream::Damaged],
        sessions: &[Arc<SessionFacts>],
        now: Timestamp,
    ) {
        let mut found: Vec<(Option<EmId>, String)> = Vec::new();
        for row in rows {
            match row.ids.as_slice() {
                [] => found.push((None, row.reason.clone())),
                ids => found.extend(
                    ids.iter()
                        .filter(|id| row.repaired || self.damaged.alone.contains_key(*id))
                        .map(|id| (Some(id.clone()), row.reason.clone())),
                ),
            }
        }
        for (id, alone) in &self.damaged.alone {
            if let Some(reason) = &alone.reason
                && !found.iter().any(|(known, _)| known.as_ref() == Some(id))
            {
                found.push((Some(id.clone()), reason.clone()));
            }
        }
        let word = |facts: &SessionFacts| match &facts.state {
            SessionState::Other(word) => Some(word.is_empty()),
            _ => None,
        };
        let mut stateless = HashMap::new();
        for facts in sessions {
            let Some(without) = word(facts) else { continue };
            let since = self.damaged.stateless.get(&facts.id).copied().unwrap_or(now);
            stateless.insert(facts.id.clone(), since);
            if now.duration_since(since).unsigned_abs() >= STATE_GRACE {
                let reason = if without {
                    "it has no State; it counts as running until it has one"
                } else {
                    "its State is none that is known; it counts as running"
                };
                found.push((Some(facts.id.clone()), reason.to_owned()));
            }
        }
        self.damaged.stateless = stateless;
        self.em.note_damaged_sessions(&found);
    }
}
