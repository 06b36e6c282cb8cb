//! A report of what was kept: judged, signed, and written with its event in one transaction.

use std::collections::HashMap;

use serde_json::Value;

use super::gather::{LIMIT, points_of, read_points};
use super::known::{Known, ended_at, is_executed, plan_of, result_of, to_judge};
use crate::api_types::events::report_ready;
use crate::api_types::reports::build::{CleanUp, Material, Recorded};
use crate::api_types::reports::entries;
use crate::api_types::reports::figures::PastTest;
use crate::api_types::reports::{RecoveryReport, ReportNotification};
use crate::app::{App, Error};
use crate::domain::access::Tenancy;
use crate::domain::evidence::clocks::{At, Span};
use crate::domain::evidence::entry::{Entry, failed_checks, findings, last_passed};
use crate::domain::evidence::judge::judge;
use crate::domain::evidence::run::RunAction;
use crate::domain::id::ReportId;
use crate::domain::operation::{Operation, OperationState};
use crate::domain::session::{Session, SessionFacts, SessionPhase, SessionRecord};
use crate::reports::integrity;
use crate::store::audit::AuditFilter;
use crate::store::evidence::{NewReport, PastRun, RunRecord, RunState, StoredReport};

/// How many earlier tests a report shows.
const PAST: i64 = 12;

/// How many rows of the audit log about an operation a report holds.
const AUDIT_ROWS: i64 = 200;

/// How many restore points of a test are looked at after its end; of more, it stays unknown whether it was cleaned up.
const LOOKED_AT: usize = 200;

/// How many deliveries of its events a report shows.
const NOTICES: i64 = 200;

/// How often a revision is tried to be made while others make theirs.
const ATTEMPTS: usize = 5;

const GONE: Error = Error::Internal("a failover vanished from the store");

impl App {
    /// Makes the report of a failover that ended until it has all that was recorded before the call: another process may be
    /// writing a revision without it. The failover as it stands then; it is not reported when others record faster than this, or
    /// nothing is left of what it was.
    ///
    /// # Errors
    /// As [`Self::make_report`].
    pub(super) async fn reported(&self, id: ReportId) -> Result<RunRecord, Error> {
        let mut run = self.store.run(id).await?.ok_or(GONE)?;
        for _ in 0..ATTEMPTS {
            if run.state == RunState::Reported || self.make_report(&run).await?.is_none() {
                break;
            }
            run = self.store.run(id).await?.ok_or(GONE)?;
        }
        Ok(run)
    }

    /// The report of a failover that ended, made and written where it is due, and read where another process was faster. None
    /// when its operation and its session are both gone.
    ///
    /// # Errors
    /// [`Error::OperationRunning`], [`Error::SessionRunning`], [`Error::Store`].
    pub(super) async fn make_report(&self, run: &RunRecord) -> Result<Option<StoredReport>, Error> {
        let Some(known) = self.left_of(run).await? else {
            return Ok(None);
        };
        let Known {
            operation,
            session,
            undo,
        } = &known;
        let facts = session.as_ref().map(|session| &session.facts);
        let points = match facts {
            Some(facts) => self.gather_points(facts).await?,
            None => HashMap::new(),
        };
        let entries = self.store.entries(run.id).await?;
        let failed_checks = failed_checks(&entries);
        let mut judged = to_judge(run, &known, &points, self.limits.look_every);
        judged.checked_at = last_passed(&entries).map(At::new);
        judged.failed_checks = &failed_checks;
        let judgement = judge(&judged);
        let past = match &run.plan {
            Some(plan) => self.store.past_tests(plan, run.started_at, PAST).await?,
            None => Vec::new(),
        };
        let key = self.store.signing_key().await?;
        let revision = run.revision + 1;
        let made_at = self.clock.now();
        let material = Material {
            id: run.id,
            revision,
            made_at,
            action: run.action,
            asked: &run.asked,
            judgement: &judgement,
            operation: operation.as_ref(),
            session: session.as_ref(),
            work_ended_at: run.work_ended_at,
            undo: undo.as_ref(),
            clean_up: self.clean_up(run, facts).await,
            past: past.iter().map(past_test).collect(),
            previous_plan: past.first().and_then(|past| past.asked.plan.as_ref()),
            recorded: recorded(&entries),
            notifications: self.notices(run, &known).await?,
            hold: run.hold.as_ref(),
            em_address: self.em.address(),
            em_api_version: self.em.api_version(),
            backup_server_version: self.server_version(run, facts).await,
            audit: self.audit_rows(run).await?,
            chain_head: self.store.audit_head().await?.hash,
            key_id: key.id.clone(),
        };
        let mut report = serde_json::to_value(RecoveryReport::new(material)).map_err(|_| UNREPRESENTABLE)?;
        let digest = integrity::digest(&report).ok_or(UNREPRESENTABLE)?;
        let signature = self.store.sign_report(&key, &digest).await?;
        integrity::complete(&mut report, &digest, &signature).ok_or(UNREPRESENTABLE)?;
        let new = NewReport {
            run: run.id,
            report: StoredReport {
                revision,
                made_at,
                digest: integrity::digest_text(&digest),
                body: serde_json::to_string(&report).map_err(|_| UNREPRESENTABLE)?,
            },
            session: facts.map(|facts| facts.id.clone()),
            outcome: judgement.outcome.as_str(),
            result: result_of(&known),
            rta_ms: judgement.plan.rta.figure().ok().map(Span::millis),
            rpa_ms: judgement.plan.rpa.measure().figure().ok().map(Span::millis),
            machines: i64::try_from(judgement.plan.machines).unwrap_or(i64::MAX),
            ended_at: Some(ended_at(&known, made_at)),
            findings: judgement.gaps(),
            entries: entries.len(),
            executed: is_executed(&known),
            unsettled: operation
                .as_ref()
                .is_some_and(|operation| operation.state == OperationState::Unknown),
            hold: run.hold.clone(),
            returned: undo
                .as_ref()
                .is_some_and(|undo| undo.state == OperationState::Finished),
        };
        let written = self.write_report(run, &known, &new, &report).await?;
        if written {
            return Ok(Some(new.report));
        }
        Ok(self.store.report(run.id, Some(revision)).await?)
    }

    /// What is known of a failover, which has to have ended; none when nothing is left of it.
    async fn left_of(&self, run: &RunRecord) -> Result<Option<Known>, Error> {
        let operation = match run.operation {
            Some(id) => self.store.operation(id, &Tenancy::All).await?,
            None => None,
        };
        if let Some(open) = operation.as_ref().filter(|operation| operation.state.is_open()) {
            return Err(Error::OperationRunning(open.id));
        }
        let id = operation
            .as_ref()
            .and_then(|operation| operation.session.clone())
            .or_else(|| run.session.clone());
        let session = match &id {
            Some(id) => self
                .store
                .sessions_known(std::slice::from_ref(id), &Tenancy::All)
                .await?
                .pop(),
            None => None,
        };
        if operation.is_none() && session.is_none() {
            return Ok(None);
        }
        if operation.is_none()
            && let Some(open) = session
                .as_ref()
                .filter(|session| session.phase == SessionPhase::Open)
        {
            return Err(Error::SessionRunning(open.facts.id.clone()));
        }
        let undo = match (&run.plan, run.action) {
            (Some(plan), RunAction::Start) => self.store.undo_of(plan, run.started_at).await?,
            _ => None,
        };
        Ok(Some(Known {
            operation,
            session,
            undo,
        }))
    }

    /// Writes a revision; false when another process wrote it already.
    async fn write_report(
        &self,
        run: &RunRecord,
        known: &Known,
        new: &NewReport,
        report: &Value,
    ) -> Result<bool, Error> {
        let plan = plan_of(known);
        let mut tx = self.store.begin().await?;
        if !tx.insert_report(new).await? {
            return Ok(false);
        }
        if !new.executed {
            // What EM refused for certain, or was never sent, makes no event.
            tx.commit().await?;
            return Ok(true);
        }
        let session = known.session.as_ref().map(|record| Session {
            facts: record.facts.clone(),
            plan: plan.cloned(),
            action: known.operation.as_ref().and_then(Operation::failover_action),
            operation: run.operation,
        });
        let event = report_ready(&self.origin(), session.as_ref(), known.operation.as_ref(), report)
            .map_err(|_| UNREPRESENTABLE)?;
        tx.append_event(&event).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Makes the report of a session that ended and was started elsewhere; none where an operation has it.
    pub(super) async fn report_foreign(&self, session: &SessionRecord) -> Result<(), Error> {
        let id = &session.facts.id;
        let kept = self.store.run_of_session(id, &Tenancy::All).await?;
        let behind = self
            .store
            .operations_behind(std::slice::from_ref(id), &Tenancy::All)
            .await?;
        if behind.is_empty() {
            let run = match kept {
                Some(run) => run,
                // It was over before it was seen at work: the plan is what it is now.
                None => self.keep_foreign(session, true).await?,
            };
            if run.revision == 0 {
                self.make_report(&run).await?;
            }
            return Ok(());
        }
        // The operation's own report has it.
        let mut tx = self.store.begin().await?;
        if let Some(run) = kept.filter(|run| run.revision == 0) {
            tx.forget_run(run.id).await?;
        }
        tx.set_session_reported(id).await?;
        Ok(tx.commit().await?)
    }

    /// To whom the failover was told. Whose endpoints they are is nobody's business who reads the report of a tenant's plan.
    async fn notices(&self, run: &RunRecord, known: &Known) -> Result<Vec<ReportNotification>, Error> {
        let session = known.session.as_ref().map(|session| &session.facts.id);
        let sent = self.store.notices_of(run.operation, session, NOTICES).await?;
        let of_tenant = plan_of(known).is_some_and(|plan| plan.owner().is_some());
        let callback = known
            .operation
            .as_ref()
            .and_then(|operation| operation.callback_url.clone());
        Ok(sent
            .into_iter()
            .map(|sent| ReportNotification {
                receiver: match &sent.endpoint {
                    Some(_) => "endpoint".to_owned(),
                    None => callback.clone().unwrap_or_else(|| "callback".to_owned()),
                },
                endpoint_id: sent.endpoint.filter(|_| !of_tenant),
                event_type: sent.event_type,
                state: sent.state,
                delivered_at: sent.delivered_at.map(Into::into),
            })
            .collect())
    }

    /// The version of the backup server that ran it, if EM tells.
    async fn server_version(&self, run: &RunRecord, session: Option<&SessionFacts>) -> Option<String> {
        let of_session = session.and_then(|session| session.backup_server.as_ref());
        let of_plan = || run.asked.plan.as_ref()?.backup_server.as_ref();
        let server = of_session.or_else(of_plan)?;
        let read = tokio::time::timeout(LIMIT, self.em.backup_server_version(&server.id)).await;
        read.ok()?.ok()?
    }

    /// What the restore points of a test show now.
    async fn clean_up(&self, run: &RunRecord, session: Option<&SessionFacts>) -> Option<CleanUp> {
        let ids = session.map(points_of).filter(|_| run.action == RunAction::Test)?;
        let looked_at = self.clock.now();
        if ids.is_empty() || ids.len() > LOOKED_AT {
            return Some(CleanUp {
                done: None,
                looked_at,
            });
        }
        let wanted = ids.len();
        let states: Vec<String> = read_points(&self.em, ids)
            .await
            .into_iter()
            .filter_map(|point| point.state)
            .collect();
        let ready = |state: &String| state.eq_ignore_ascii_case("ready");
        let done = if states.iter().any(|state| !ready(state)) {
            Some(false)
        } else {
            (states.len() == wanted).then_some(true)
        };
        Some(CleanUp { done, looked_at })
    }

    async fn audit_rows(&self, run: &RunRecord) -> Result<Vec<(i64, Value)>, Error> {
        let Some(operation) = run.operation else {
            return Ok(Vec::new());
        };
        let filter = AuditFilter {
            operation: Some(operation),
            ..AuditFilter::default()
        };
        let rows = self.store.audit(&filter, None, AUDIT_ROWS).await?;
        let read = |row: crate::store::audit::AuditRow| {
            Some((row.sequence, serde_json::from_str(row.json.get()).ok()?))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}

const UNREPRESENTABLE: Error = Error::Internal("a report could not be represented");

fn recorded(entries: &[Entry]) -> Recorded {
    Recorded {
        checks: entries.iter().filter_map(entries::check).collect(),
        notes: entries.iter().filter_map(entries::note).collect(),
        findings: findings(entries).iter().map(Into::into).collect(),
        reviews: entries.iter().filter_map(entries::review).collect(),
    }
}

pub(super) fn past_test(past: &PastRun) -> PastTest {
    PastTest {
        report_id: past.id.to_string(),
        operation_id: past.operation.map(|id| id.to_string()),
        session_id: past.session.as_ref().map(ToString::to_string),
        at: past.started_at.into(),
        verdict: past.outcome.clone(),
        result: past.result.clone(),
        rta_ms: past.rta_ms,
        rpa_ms: past.rpa_ms,
        machines: past.machines,
    }
}
