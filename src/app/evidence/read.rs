//! Reports as callers read them: by the operation or by the session, in any revision and format.

use bytes::Bytes;
use serde_json::Value;

use crate::api_types::reports::programme::RecoveryProgramme;
use crate::app::{App, Error, OpContext};
use crate::domain::access::Tenancy;
use crate::domain::evidence::asked::Asked;
use crate::domain::id::{EmId, OperationId};
use crate::domain::operation::Operation;
use crate::domain::session::SessionPhase;
use crate::reports::{self, Format};
use crate::store::evidence::{ReportKey, RunRecord, RunState};

const NO_REPORT: Error = Error::NotFound {
    what: "the report, which only tests and starts of failover plans have,",
};
const NO_REVISION: Error = Error::NotFound {
    what: "this revision of the report",
};

/// A report as a file.
#[derive(Debug, Clone)]
pub struct ReportFile {
    /// Its name, with ending.
    pub name: String,
    /// What it is.
    pub format: Format,
    /// Its content.
    pub bytes: Bytes,
    /// Which revision.
    pub revision: i64,
}

impl App {
    /// The report of an operation: the last revision, or the one asked for.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::OperationRunning`], [`Error::Store`].
    pub async fn operation_report(
        &self,
        context: &OpContext,
        id: OperationId,
        revision: Option<i64>,
        format: Format,
    ) -> Result<ReportFile, Error> {
        let run = self.run_of_report(context, id).await?;
        self.report_file(&run, revision, format).await
    }

    /// The report of a session, wherever it was started.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::OperationRunning`], [`Error::SessionRunning`], [`Error::Store`].
    pub async fn session_report(
        &self,
        context: &OpContext,
        id: &EmId,
        revision: Option<i64>,
        format: Format,
    ) -> Result<ReportFile, Error> {
        let tenancy = context.tenancy();
        let ids = std::slice::from_ref(id);
        if let Some((_, operation, _)) = self.store.operations_behind(ids, tenancy).await?.pop() {
            return self.operation_report(context, operation, revision, format).await;
        }
        let kept = self.store.run_of_session(id, tenancy).await?;
        let session = self.store.sessions_known(ids, tenancy).await?.pop();
        if let Some(open) = session
            .as_ref()
            .filter(|session| session.phase == SessionPhase::Open)
        {
            return Err(Error::SessionRunning(open.facts.id.clone()));
        }
        let run = match (kept, session) {
            (Some(run), _) => run,
            (None, Some(session)) => {
                // Of one that has just ended it is what it is now, as for the worker that would report it; what it was when
                // others ended is not known.
                let has_just_ended = self.store.is_unreported(id).await?;
                self.keep_foreign(&session, has_just_ended).await?
            }
            (None, None) => return Err(self.not_observed(context, id).await),
        };
        self.report_file(&run, revision, format).await
    }

    /// Why there is no report of a session that was not observed: EM may show it already.
    async fn not_observed(&self, context: &OpContext, id: &EmId) -> Error {
        let shown = !context.tenancy().is_confined() && self.em.session(id).await.is_ok();
        if shown {
            Error::SessionRunning(id.clone())
        } else {
            Error::NotFound {
                what: "the failover session",
            }
        }
    }

    /// The keys that sign reports, the newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn report_keys(&self) -> Result<Vec<ReportKey>, Error> {
        Ok(self.store.report_keys().await?)
    }

    /// What is kept of an operation that an earlier version recorded.
    pub(super) async fn late_run(&self, operation: &Operation, asked: Asked) -> Result<RunRecord, Error> {
        let run = self.run_of(operation, asked).ok_or(NO_REPORT)?;
        let mut tx = self.store.begin().await?;
        tx.insert_run(&run, operation.plan.as_ref()).await?;
        tx.commit().await?;
        let kept = self.store.run_of_operation(operation.id, &Tenancy::All).await?;
        kept.ok_or(Error::Internal(
            "what was kept of an operation vanished from the store",
        ))
    }

    async fn report_file(
        &self,
        run: &RunRecord,
        revision: Option<i64>,
        format: Format,
    ) -> Result<ReportFile, Error> {
        if run.state != RunState::Reported {
            // A caller who goes away leaves no half of it behind.
            let (app, id) = (self.clone(), run.id);
            let making = self.tasks.spawn(async move { app.reported(id).await });
            making
                .await
                .map_err(|_| Error::Internal("the making of a report was broken off"))??;
        }
        let report = self.store.report(run.id, revision).await?.ok_or(NO_REVISION)?;
        let unreadable = |_| Error::Internal("a report could not be shown");
        let value: Value =
            serde_json::from_str(&report.body).map_err(|_| Error::Internal("a report could not be read"))?;
        let bytes = match self.own_page(format, &value) {
            Some(page) => page.into_bytes(),
            None => reports::render(format, &report.body).map_err(unreadable)?,
        };
        Ok(ReportFile {
            name: format!("{}.{}", reports::file_stem(&value), format.word()),
            format,
            bytes: bytes.into(),
            revision: report.revision,
        })
    }
}

impl App {
    /// The page by the operator's template; none without one, and when it fails, which costs nobody the report.
    fn own_page(&self, format: Format, report: &Value) -> Option<String> {
        let template = self
            .template
            .as_ref()
            .as_ref()
            .filter(|_| format == Format::Html)?;
        match template.page(report) {
            Ok(page) => Some(page),
            Err(fault) => {
                tracing::warn!(
                    fault,
                    "reports.template_file makes no page of a report; the built-in template does"
                );
                None
            }
        }
    }
}

/// The programme as a page.
///
/// # Errors
/// [`Error::Internal`], in theory.
pub fn programme_page(programme: &RecoveryProgramme) -> Result<String, Error> {
    let value = serde_json::to_value(programme).map_err(|_| UNSHOWN)?;
    reports::html::programme(&value).map_err(|_| UNSHOWN)
}

/// The programme as a table.
///
/// # Errors
/// [`Error::Internal`], in theory.
pub fn programme_table(programme: &RecoveryProgramme) -> Result<Vec<u8>, Error> {
    let value = serde_json::to_value(programme).map_err(|_| UNSHOWN)?;
    reports::csv::programme(&value).map_err(|_| UNSHOWN)
}

const UNSHOWN: Error = Error::Internal("the programme could not be shown");
