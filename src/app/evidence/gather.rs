//! What has to be read at EM while it is there: the restore points that sessions use, the plans of sessions that were started
//! elsewhere, and of plans without sessions the newest points and the end of the task.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};

use crate::app::{App, Error};
use crate::domain::evidence::asked::Asked;
use crate::domain::evidence::run::{PointFacts, RunAction};
use crate::domain::id::{EmId, ReportId};
use crate::domain::plan::PlanKind;
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
        for part in missing.chunks(PART) {
            let read = read_points(&self.em, part.to_vec()).await;
            if read.is_empty() {
                // EM is away, or refuses: the rest would take as long for nothing.
                break;
            }
            let mut tx = self.store.begin().await?;
            tx.save_points(&read).await?;
            tx.commit().await?;
            known.extend(read.into_iter().map(|point| (point.id.clone(), point)));
        }
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
        let mut asked = Asked {
            clock: self.em.clock_difference(),
            ..Asked::default()
        };
        if let Some(reference) = &session.plan {
            let objectives = self
                .objectives_in_force(std::slice::from_ref(&reference.id))
                .await?;
            asked.objectives = objectives.into_iter().next().unwrap_or_default();
            if plan_now {
                let read = tokio::time::timeout(LIMIT, self.em.plan(reference.kind, &reference.id)).await;
                asked.plan = read.ok().and_then(Result::ok);
                asked.plan_read_at = asked.plan.as_ref().map(|_| self.clock.now());
            }
        }
        let run = RunRecord {
            id: ReportId::new(self.clock.id()),
            operation: None,
            session: Some(session.facts.id.clone()),
            action: RunAction::Unknown,
            plan: session.plan.as_ref().map(|plan| plan.id.clone()),
            started_at: session.facts.started_at.unwrap_or(session.first_seen_at),
            asked,
            work_ended_at: None,
            newest: None,
            state: RunState::Open,
            revision: 0,
            ended_at: None,
            hold: None,
        };
        let mut tx = self.store.begin().await?;
        tx.insert_run(&run, session.plan.as_ref()).await?;
        tx.commit().await?;
        // Another process may have been first.
        let kept = self
            .store
            .run_of_session(&session.facts.id, &crate::domain::access::Tenancy::All)
            .await?;
        kept.ok_or(Error::Internal(
            "what was kept of a session vanished from the store",
        ))
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
