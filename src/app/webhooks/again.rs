//! The verbs that send something once more: one delivery, what was given up, what an endpoint never got.

use jiff::Timestamp;

use super::{NO_ENDPOINT, Webhooks, readable, told};
use crate::app::audit::Told;
use crate::app::page::{LogPage, one_more};
use crate::app::{Error, OpContext};
use crate::domain::audit::{AuditAction, Detail};
use crate::domain::id::{DeliveryId, EndpointId, JobId};
use crate::domain::links::API;
use crate::domain::webhook::Delivery;
use crate::domain::webhook::job::{Job, JobKind, OPEN_LIMIT};
use crate::domain::webhook::rules::earlier;
use crate::store::Tx;
use crate::store::cursor::Cursor;
use crate::store::webhooks::resend::Redelivered;

impl Webhooks {
    /// Sends a delivery again, whatever came of it, and through the endpoint's pauses. One of a disabled endpoint goes out
    /// when that is enabled.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] when its receiver is gone, [`Error::Store`].
    pub async fn redeliver(&self, context: &OpContext, id: DeliveryId) -> Result<Delivery, Error> {
        let mut tx = self.begin().await?;
        match tx.redeliver(id, context.tenancy()).await? {
            Redelivered::Due => {}
            Redelivered::Missing => return Err(Error::NotFound { what: "the delivery" }),
            Redelivered::Homeless => {
                let detail = "the endpoint was deleted, or the callback is no longer kept; there is nowhere to send it";
                return Err(Error::invalid("", detail));
            }
        }
        let target = Told::of(format!("{API}/webhook-deliveries/{id}"));
        tx.audit(context, AuditAction::DeliveryRedeliver, target);
        tx.commit().await?;
        self.delivery(context, id).await
    }

    /// Begins a job: what was given up for the endpoint since `since`, or what the event log holds since then and the
    /// endpoint never got, goes out.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::TooManyJobs`], [`Error::Store`].
    pub async fn begin_job(
        &self,
        context: &OpContext,
        id: EndpointId,
        kind: JobKind,
        since: Timestamp,
    ) -> Result<Job, Error> {
        let mut tx = self.begin().await?;
        let found = tx.endpoint(id, context.tenancy()).await?;
        let (endpoint, _) = readable(found.ok_or(NO_ENDPOINT)?)?;
        if since > self.clock.now() {
            return Err(Error::invalid("/since", "must not be in the future"));
        }
        if kind == JobKind::Replay {
            self.check_reach(&mut tx, since).await?;
        }
        match tx.open_jobs(id).await? {
            (0, all) if all < OPEN_LIMIT => {}
            (0, _) => {
                return Err(Error::TooManyJobs(
                    "as many jobs are under way as there may be; try again later",
                ));
            }
            _ => {
                let detail = "a job of this endpoint is under way; wait until it has finished";
                return Err(Error::TooManyJobs(detail));
            }
        }
        let job = tx
            .insert_job(JobId::new(self.clock.id()), &endpoint, kind, since)
            .await?;
        let action = match kind {
            JobKind::Recover => AuditAction::EndpointRecover,
            JobKind::Replay => AuditAction::EndpointReplay,
        };
        let told = told(id)
            .with("job", job.id.to_string().as_str())
            .with("since", Detail::Text(since.to_string()));
        tx.audit(context, action, told);
        tx.commit().await?;
        Ok(job)
    }

    /// Refuses what retention has removed already; a log of which nothing was removed reaches back to its beginning.
    async fn check_reach(&self, tx: &mut Tx, since: Timestamp) -> Result<(), Error> {
        let reach = earlier(tx.trusted_now(), self.events_kept);
        let whole = tx.log_start().await?.place <= 1;
        if whole || since >= reach {
            return Ok(());
        }
        let reach = crate::api_types::Moment(reach);
        let detail =
            format!("the event log reaches back to {reach}; earlier events were removed (retention.events)");
        Err(Error::invalid("/since", detail))
    }

    /// A job of an endpoint.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn job(&self, context: &OpContext, endpoint: EndpointId, id: JobId) -> Result<Job, Error> {
        let found = self.store.job(endpoint, id, context.tenancy()).await?;
        found.ok_or(Error::NotFound { what: "the job" })
    }

    /// A page of an endpoint's jobs, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] without such an endpoint, [`Error::Store`].
    pub async fn jobs(
        &self,
        context: &OpContext,
        endpoint: EndpointId,
        cursor: Option<Cursor<JobId>>,
        size: usize,
    ) -> Result<LogPage<Job, Cursor<JobId>>, Error> {
        self.get(context, endpoint).await?;
        let tenancy = context.tenancy();
        let found = self.store.jobs(endpoint, tenancy, cursor, one_more(size)).await?;
        Ok(LogPage::cut(found, cursor, size, |job| job.id))
    }
}
