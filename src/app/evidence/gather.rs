//! What has to be read at EM while it is there: the restore points that sessions use, the plans of sessions that were started
//! elsewhere, and of plans without sessions the newest points and the end of the task.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use crate::app::{App, Error};
use crate::domain::access::Tenancy;
use crate::domain::evidence::asked::Asked;
use crate::domain::evidence::objectives::Objectives;
use crate::domain::evidence::run::{PointFacts, RunAction};
use crate::domain::id::{EmId, ReportId};
use crate::domain::plan::{Plan, PlanKind, PlanRef};
use crate::domain::session::{SessionFacts, SessionRecord};
use crate::store::evidence::{RunRecord, RunState};
use crate::upstream::EmClient;

/// How many points are read at a time, and how long each may take.
const AT_A_TIME: usize = 4;
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// How many points are written in one transaction, so that what was read is not lost with what comes later.
const PART: usize = 200;

/// The restore points that a session names.
pub(super) fn points_of(session: &SessionFacts) -> Vec<EmId> {
    let mut seen = HashSet::new();
    let named = session
        .machines
        .iter()
        .filter_map(|machine| machine.replica_point.as_ref());
    named
        .map(|point| point.id.clone())
        .filter(|id| seen.insert(id.clone()))
        .collect()
}

/// Reads points; those that could not be read are left out.
pub(super) async fn read_points(em: &EmClient, ids: Vec<EmId>) -> Vec<PointFacts> {
    let reads = ids.into_iter().map(|id| async move {
        match tokio::time::timeout(LIMIT, em.replica_point(&id)).await {
            Ok(Ok(point)) => Some(point),
            Ok(Err(error)) => {
                tracing::debug!(point = %id, error = &error as &dyn std::error::Error, "a restore point could not be read");
                None
            }
            Err(_) => None,
        }
    });
    let found: Vec<Option<PointFacts>> = stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await;
    found.into_iter().flatten().collect()
}

/// Reads plans, by their ids; those that could not be read are left out.
async fn read_plans(em: &EmClient, plans: Vec<PlanRef>) -> HashMap<EmId, Plan> {
    let reads = plans.into_iter().map(|plan| async move {
        let read = tokio::time::timeout(LIMIT, em.plan(plan.kind, &plan.id)).await;
        Some((plan.id, read.ok()?.ok()?))
    });
    let found: Vec<Option<(EmId, Plan)>> = stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await;
    found.into_iter().flatten().collect()
}

impl App {
    /// The points of a session, read at EM where they are not known yet. Those that could not be read are left out, and read
    /// another time.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn gather_points(
        &self,
        session: &SessionFacts,
    ) -> Result<HashMap<EmId, PointFacts>, Error> {
        let ids = points_of(session);
        let mut known = self.store.points(&ids).await?;
        let missing: Vec<EmId> = ids.into_iter().filter(|id| !known.contains_key(id)).collect();
        let read = self.keep_points(&missing).await?;
        known.extend(read.into_iter().map(|point| (point.id.clone(), point)));
        Ok(known)
    }

    /// Reads points at EM and keeps them; those that could be read.
    async fn keep_points(&self, missing: &[EmId]) -> Result<Vec<PointFacts>, Error> {
        let mut kept = Vec::new();
        for part in missing.chunks(PART) {
            let read = read_points(&self.em, part.to_vec()).await;
            if read.is_empty() {
                // EM is away, or refuses: the rest would take as long for nothing.
                break;
            }
            let mut tx = self.store.begin().await?;
            tx.save_points(&read).await?;
            tx.commit().await?;
            kept.extend(read);
        }
        Ok(kept)
    }

    /// Keeps what EM may remove of sessions that run, of all of them together: the points that they name, and the plans of those
    /// that were started elsewhere. The keys of the points that are kept now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn keep_running(&self, sessions: &[SessionRecord]) -> Result<HashSet<String>, Error> {
        let named: HashSet<EmId> = sessions
            .iter()
            .flat_map(|session| points_of(&session.facts))
            .collect();
        let named: Vec<EmId> = named.into_iter().collect();
        let mut known = self.store.points_known(&named).await?;
        let is_missing = |id: &EmId| !known.contains(&id.key());
        let missing: Vec<EmId> = named.into_iter().filter(is_missing).collect();
        let read = self.keep_points(&missing).await?;
        known.extend(read.iter().map(|point| point.id.key()));
        let ids: Vec<EmId> = sessions.iter().map(|session| session.facts.id.clone()).collect();
        let mut kept = self.store.sessions_with_runs(&ids).await?;
        let behind = self.store.operations_behind(&ids, &Tenancy::All).await?;
        kept.extend(behind.into_iter().map(|(session, _, _)| session));
        let foreign: Vec<&SessionRecord> = sessions
            .iter()
            .filter(|session| !kept.contains(&session.facts.id.key()))
            .collect();
        self.keep_all_foreign(&foreign, true).await?;
        Ok(known)
    }

    /// Keeps the plan and the objectives of a session that was started elsewhere, as they are when it is first seen.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn keep_foreign(
        &self,
        session: &SessionRecord,
        plan_now: bool,
    ) -> Result<RunRecord, Error> {
        self.keep_all_foreign(&[session], plan_now).await?;
        // Another process may have been first.
        let kept = self
            .store
            .run_of_session(&session.facts.id, &Tenancy::All)
            .await?;
        kept.ok_or(Error::Internal(
            "what was kept of a session vanished from the store",
        ))
    }

    /// The same of several sessions, in one transaction.
    async fn keep_all_foreign(&self, sessions: &[&SessionRecord], plan_now: bool) -> Result<(), Error> {
        if sessions.is_empty() {
            return Ok(());
        }
        let of_plans = sessions.iter().filter_map(|session| session.plan.clone());
        let of_plans: Vec<PlanRef> = of_plans.collect();
        let ids: Vec<EmId> = of_plans.iter().map(|plan| plan.id.clone()).collect();
        let objectives = self.objectives_in_force(&ids).await?;
        let objectives: HashMap<EmId, Objectives> = ids.into_iter().zip(objectives).collect();
        let plans = match plan_now {
            true => read_plans(&self.em, of_plans).await,
            false => HashMap::new(),
        };
        let (clock, read_at) = (self.em.clock_difference(), self.clock.now());
        let mut tx = self.store.begin().await?;
        for session in sessions {
            let id = session.plan.as_ref().map(|plan| &plan.id);
            let plan = id.and_then(|id| plans.get(id)).cloned();
            let asked = Asked {
                clock,
                objectives: id.and_then(|id| objectives.get(id)).cloned().unwrap_or_default(),
                plan_read_at: plan.as_ref().map(|_| read_at),
                plan,
                ..Asked::default()
            };
            let run = RunRecord {
                id: ReportId::new(self.clock.id()),
                operation: None,
                session: Some(session.facts.id.clone()),
                action: RunAction::Unknown,
                plan: id.cloned(),
                started_at: session.facts.started_at.unwrap_or(session.first_seen_at),
                asked,
                work_ended_at: None,
                newest: None,
                state: RunState::Open,
                revision: 0,
                ended_at: None,
                hold: None,
            };
            tx.insert_run(&run, session.plan.as_ref()).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Keeps, of a plan for which EM records no session, the newest points at the request, and when its task was first seen done.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn gather_course(&self, mut run: RunRecord, done: bool) -> Result<(), Error> {
        let before = (run.newest.is_some(), run.work_ended_at.is_some());
        if let (None, Some(plan)) = (
            &run.newest,
            run.asked
                .plan
                .as_ref()
                .filter(|plan| plan.kind == PlanKind::OnPremises),
        ) {
            let read = tokio::time::timeout(LIMIT, self.em.newest_points(plan, Some(run.started_at))).await;
            if let Ok(Ok(points)) = read {
                let read_at = self.clock.now();
                let newest = plan.machines.iter().zip(points).filter_map(|(machine, point)| {
                    let point = point?;
                    let facts = PointFacts {
                        id: point.id,
                        created_at: Some(point.created_at),
                        kind: None,
                        state: None,
                        read_at,
                    };
                    Some((machine.name.clone(), facts))
                });
                run.newest = Some(newest.collect());
            }
        }
        if done && run.work_ended_at.is_none() {
            run.work_ended_at = Some(self.clock.now());
        }
        if before != (run.newest.is_some(), run.work_ended_at.is_some()) {
            let mut tx = self.store.begin().await?;
            tx.save_run_course(&run).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
