//! What is read of single things beside the query: tasks of running operations, sessions that they link, and of new
//! sessions the backup server and the plans.
//!
//! Nothing here is waited for without a limit: what EM does not answer in time is asked for again at the next observation.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::batches::{self, Part};
use super::lookups::{Lookup, LookupKey, Lookups};
use super::poll_backoff::PollBackoff;
use super::{Error, Watcher, follow};
use crate::domain::id::{EmId, OperationId};
use crate::domain::operation::Operation;
use crate::domain::plan::Plan;
use crate::domain::session::SessionFacts;
use crate::store::{self, Store};

/// How long a task that may name its session is waited for; what the query showed is written then in any case.
const LINK_WAIT: Duration = Duration::from_secs(1);

/// How long the reading of new sessions may make no progress, and how long it may take in a part; then they are reported
/// without what was not read.
const NEW_PAUSE: Duration = Duration::from_secs(5);
const NEW_MOST: Duration = Duration::from_secs(10);

/// How many sessions are asked for once more in a turn, where EM did not answer at first what rows lack.
const MOST_AGAIN: usize = 50;

/// How long a list of plans is good for naming the plan of a session.
const PLANS_TTL: Duration = Duration::from_mins(1);

impl Watcher {
    /// Asks EM about the tasks whose next read is due; the questions whose answer may name a session.
    pub(super) fn ask_tasks(&mut self, operations: &[Operation]) -> Vec<LookupKey> {
        let now = self.clock.now();
        let awaited: Vec<&Operation> = operations
            .iter()
            .filter(|operation| follow::awaits_task(operation))
            .collect();
        let still: HashSet<OperationId> = awaited.iter().map(|operation| operation.id).collect();
        self.task_backoff.retain(|id, _| still.contains(id));
        let mut links = Vec::new();
        for operation in awaited {
            let first = PollBackoff::new(self.config.interval, now);
            let pace = self.task_backoff.entry(operation.id).or_insert(first);
            let Some((task, logon)) = operation.task.as_ref().and_then(|task| Some((task, task.logon?)))
            else {
                continue;
            };
            let question = LookupKey::Task(operation.id);
            if self.lookups.is_asking(&question) || !pace.is_due(now) {
                continue;
            }
            self.lookups.ask_task(operation.id, logon, task.id.clone());
            if operation.session.is_none() {
                links.push(question);
            }
        }
        links
    }

    /// Adds sessions that tasks link and the query did not show: those linked now, and those linked before that could
    /// not be read then.
    pub(super) async fn add_linked(
        &mut self,
        sessions: &mut Vec<Arc<SessionFacts>>,
        unread: &HashSet<EmId>,
        mut questions: Vec<LookupKey>,
        operations: &[Operation],
    ) -> Result<(), Error> {
        let read = sessions.iter().map(|facts| facts.id.clone());
        let seen: HashSet<EmId> = read.chain(unread.iter().cloned()).collect();
        let mut missing: HashSet<EmId> = operations
            .iter()
            .filter(|operation| operation.state.is_open())
            .filter_map(|operation| operation.session.clone())
            .filter(|id| !seen.contains(id))
            .collect();
        if !missing.is_empty() {
            let awaited: Vec<EmId> = missing.iter().cloned().collect();
            for record in store::with_timeout(
                self.store
                    .sessions_known(&awaited, &crate::domain::access::Tenancy::All),
            )
            .await?
            {
                missing.remove(&record.facts.id);
            }
        }
        let ask = |lookups: &mut Lookups, id: &EmId| {
            let answered = matches!(lookups.sessions.get(id), Some(Lookup::Found(_)));
            (!answered && lookups.ask_session(id)).then(|| LookupKey::Session(id.clone()))
        };
        questions.extend(missing.iter().filter_map(|id| ask(&mut self.lookups, id)));
        self.lookups.wait(&questions, LINK_WAIT, LINK_WAIT).await;
        let linked: Vec<EmId> = self
            .lookups
            .tasks
            .values()
            .filter_map(|task| task.session.clone())
            .filter(|id| !seen.contains(id) && missing.insert(id.clone()))
            .collect();
        let questions: Vec<LookupKey> = linked
            .iter()
            .filter_map(|id| ask(&mut self.lookups, id))
            .collect();
        self.lookups.wait(&questions, LINK_WAIT, LINK_WAIT).await;
        for id in missing {
            if let Some(Lookup::Found(facts)) = self.lookups.sessions.get(&id) {
                sessions.push(Arc::clone(facts));
            }
        }
        Ok(())
    }

    /// Asks once more for what rows of known sessions lack and EM did not answer at first. It is not waited for.
    pub(super) async fn read_again(
        &mut self,
        sessions: &[Arc<SessionFacts>],
        shown: &HashSet<EmId>,
        known: &HashSet<String>,
    ) -> Result<(), Error> {
        let mut again = match self.incomplete.take() {
            Some(incomplete) => incomplete,
            // Left behind by the process before, or by the replica that observed until now.
            None => left_behind(&self.store).await?,
        };
        again.retain(|id| shown.contains(id));
        self.lookups.sessions.retain(|id, told| {
            if !matches!(told, Lookup::Failed) {
                again.remove(id);
            }
            shown.contains(id) && matches!(told, Lookup::Found(_))
        });
        sessions
            .iter()
            .filter(|facts| facts.backup_server.is_none() && known.contains(&facts.id.key()))
            .filter(|facts| again.contains(&facts.id))
            .take(MOST_AGAIN)
            .for_each(|facts| {
                self.lookups.ask_session(&facts.id);
            });
        self.incomplete = Some(again);
        Ok(())
    }

    /// Reads by a GET of their own what rows of new sessions lack, the backup server, and the plans where the list is old
    /// or lacks a name.
    pub(super) async fn read_new(&mut self, part: &mut Part, known: &HashSet<String>, baseline: bool) {
        let news: Vec<&SessionFacts> = part
            .sessions
            .iter()
            .map(AsRef::as_ref)
            .filter(|facts| batches::is_news(facts, known, baseline))
            .collect();
        let lacking: Vec<EmId> = news
            .iter()
            .filter(|facts| facts.backup_server.is_none())
            .map(|facts| facts.id.clone())
            .collect();
        let mut questions = Vec::new();
        if !self.has_plans_of(&news) {
            self.lookups.ask_plans();
            questions.push(LookupKey::Plans);
        }
        for id in &lacking {
            self.lookups.ask_session(id);
            questions.push(LookupKey::Session(id.clone()));
        }
        self.lookups.wait(&questions, NEW_PAUSE, NEW_MOST).await;
        let again = self.incomplete.get_or_insert_default();
        for id in lacking {
            if matches!(self.lookups.sessions.get(&id), None | Some(Lookup::Failed)) {
                again.insert(id);
            }
        }
        if let Some(plans) = self.lookups.plans.take() {
            self.plans = Some((self.clock.now(), plans.into()));
        }
        self.complete(&mut part.sessions);
    }

    /// Takes over from what was read of single sessions what their rows lack.
    pub(super) fn complete(&self, sessions: &mut [Arc<SessionFacts>]) {
        for facts in sessions {
            if facts.backup_server.is_none()
                && let Some(Lookup::Found(whole)) = self.lookups.sessions.get(&facts.id)
            {
                let facts = Arc::make_mut(facts);
                facts.backup_server.clone_from(&whole.backup_server);
                facts.job = facts.job.take().or_else(|| whole.job.clone());
            }
        }
    }

    pub(super) fn known_plans(&self) -> Arc<[Plan]> {
        let plans = self.plans.as_ref();
        plans.map_or_else(Arc::default, |(_, plans)| Arc::clone(plans))
    }

    /// Whether the list of plans is fresh and has the names of all these sessions.
    fn has_plans_of(&self, sessions: &[&SessionFacts]) -> bool {
        let now = self.clock.now();
        self.plans.as_ref().is_some_and(|(read_at, plans)| {
            now.duration_since(*read_at).unsigned_abs() < PLANS_TTL
                && sessions
                    .iter()
                    .all(|facts| plans.iter().any(|plan| plan.name == facts.plan_name))
        })
    }
}

async fn left_behind(store: &Store) -> Result<HashSet<EmId>, Error> {
    Ok(store::with_timeout(store.open_sessions_without_server()).await?)
}
