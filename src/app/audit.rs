//! The audit log (docs/behaviour.md#audit): what verbs tell of themselves in the transaction of their change, rows about
//! refusals, and reading.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};

use super::page::{LogPage, one_more};
use super::{App, Channel, Cursor, Error, OpContext};
use crate::domain::access::{Caller, Tenancy};
use crate::domain::audit::{Actor, AuditAction, AuditEntry, AuditTenant, Details, shown_path, target_of};
use crate::domain::command::Command;
use crate::domain::id::OperationId;
use crate::domain::operation::Operation;
pub use crate::store::audit::AuditFilter;
use crate::store::audit::AuditRow;
use crate::store::{Store, Tx};

/// How many rows of an export are in memory at a time.
const ROWS_AT_A_TIME: i64 = 500;

/// What a row says of one action.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The path of the thing that is changed.
    pub target: Option<String>,
    /// Whose it is; absent where no plan says so, and the caller's then.
    pub tenant: Option<AuditTenant>,
    /// The operation concerned.
    pub operation: Option<OperationId>,
    /// Whatever else there is to say, without secrets.
    pub details: Details,
}

impl Told {
    /// What is told of the thing at this path.
    pub(super) fn of(target: String) -> Self {
        Self {
            target: Some(target),
            ..Self::default()
        }
    }

    /// What is told of an operation.
    pub(super) fn of_operation(operation: &Operation) -> Self {
        let mut details = Details::from([("kind", operation.kind.as_str().into())]);
        if let Some(plan) = &operation.plan {
            details.insert("planName", plan.name.as_str().into());
        } else {
            details.insert("action", operation.action.as_str().into());
        }
        Self {
            target: target_of(operation),
            tenant: AuditTenant::of_plan(operation.plan.as_ref()),
            operation: Some(operation.id),
            details,
        }
    }

    /// The same with another detail.
    pub(super) fn with(
        mut self,
        name: &'static str,
        detail: impl Into<crate::domain::audit::Detail>,
    ) -> Self {
        self.details.insert(name, detail.into());
        self
    }
}

impl Tx {
    /// Tells the audit log what the request of `context` does, in the transaction that does it.
    pub(in crate::app) fn audit(&mut self, context: &OpContext, action: AuditAction, told: Told) {
        let tenant = told.tenant.or_else(|| AuditTenant::of_caller(&context.caller));
        self.append_audit(AuditEntry {
            actor: Actor::new(Some(&context.caller), context.client),
            action,
            target: told.target,
            tenant,
            operation: told.operation,
            request_id: Some(context.request_id.to_string()),
            ended: None,
            details: told.details.into_iter().chain(context.channel.detail()).collect(),
        });
    }

    /// Tells the audit log which operation the request of `context` becomes.
    pub(in crate::app) fn audit_submission(
        &mut self,
        context: &OpContext,
        command: &Command,
        operation: &Operation,
    ) {
        let mut told = Told::of_operation(operation);
        if operation.callback_url.is_some() {
            told = told.with("callback", crate::domain::audit::Detail::Flag(true));
        }
        if let Some(reason) = &operation.reason {
            told = told.with("reason", reason.as_str());
        }
        if let Some(name) = operation
            .on_behalf_of
            .as_ref()
            .and_then(|who| who.name.as_deref())
        {
            told = told.with("onBehalfOf", name);
        }
        self.audit(context, AuditAction::of(command), told);
    }
}

/// Where a page of the audit log begins: the number of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditPlace(pub i64);

/// A request that was refused a right.
#[derive(Debug, Clone)]
pub struct RefusedRequest {
    /// Who asked; absent where the token was not valid.
    pub caller: Option<Arc<Caller>>,
    /// From where.
    pub client: Option<IpAddr>,
    /// How it came.
    pub channel: Channel,
    /// The request's id.
    pub request_id: String,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// The code of the problem.
    pub code: &'static str,
    /// The operation that it was about.
    pub operation: Option<OperationId>,
}

impl App {
    /// Tells the audit log of a request that was refused a right.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn audit_refusal(&self, refused: RefusedRequest) -> Result<(), Error> {
        let mut tx = self.store.begin().await?;
        let details = [
            ("method", refused.method.as_str().into()),
            ("code", refused.code.into()),
        ];
        let action = match &refused.caller {
            Some(_) => AuditAction::RequestForbidden,
            None => AuditAction::RequestUnauthenticated,
        };
        tx.append_audit(AuditEntry {
            actor: Actor::new(refused.caller.as_deref(), refused.client),
            action,
            target: Some(shown_path(&refused.path)),
            tenant: refused.caller.as_deref().and_then(AuditTenant::of_caller),
            operation: refused.operation,
            request_id: Some(refused.request_id),
            ended: None,
            details: details.into_iter().chain(refused.channel.detail()).collect(),
        });
        Ok(tx.commit().await?)
    }

    /// A page of the audit log, oldest first: of a confined caller, the rows of its tenants.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn audit(
        &self,
        context: &OpContext,
        filter: AuditFilter,
        cursor: Option<Cursor<AuditPlace>>,
        size: usize,
    ) -> Result<LogPage<AuditRow, Cursor<AuditPlace>>, Error> {
        let filter = confined(context, filter);
        let from = cursor.map(|cursor| match cursor {
            Cursor::After(AuditPlace(sequence)) => Cursor::After(sequence),
            Cursor::Before(AuditPlace(sequence)) => Cursor::Before(sequence),
        });
        let found = self.store.audit(&filter, from, one_more(size)).await?;
        Ok(LogPage::cut(found, cursor, size, |row| AuditPlace(row.sequence)))
    }

    /// The audit log as JSON lines, oldest first, up to the last row of this moment. A few rows are in memory at a time.
    /// It begins with the anchor where rows were removed. A confined caller gets the rows of its tenants.
    ///
    /// # Errors
    /// [`Error::Store`] before the first byte; a later one ends the stream with an error, and so does a row that is
    /// missing in the middle.
    pub async fn audit_export(
        &self,
        context: &OpContext,
        filter: AuditFilter,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + 'static, Error> {
        let filter = confined(context, filter);
        let whole = matches!(filter.tenancy, Tenancy::All) && filter.from.is_none() && filter.to.is_none();
        let until = self.store.audit_head().await?.sequence;
        let anchor = match whole {
            true => self.store.audit_anchor_line().await?,
            false => None,
        };
        let export = Export {
            store: self.store.clone(),
            filter,
            whole,
            until,
            after: anchor.as_ref().map_or(0, |(sequence, _)| *sequence),
            first: anchor.map(|(_, line)| line + "\n"),
        };
        Ok(stream::try_unfold(export, Export::next))
    }
}

/// An export on its way.
struct Export {
    store: Store,
    filter: AuditFilter,
    /// Whether it is the chain without a hole.
    whole: bool,
    until: i64,
    after: i64,
    first: Option<String>,
}

impl Export {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some((first.into(), self)));
        }
        if self.after >= self.until {
            return Ok(None);
        }
        let after = Some(Cursor::After(self.after));
        let rows = self.store.audit(&self.filter, after, ROWS_AT_A_TIME).await?;
        let mut lines = String::new();
        for row in rows.iter().filter(|row| row.sequence <= self.until) {
            if self.whole && row.sequence != self.after + 1 {
                return Err(Error::Internal(
                    "rows of the audit log are missing; they may have been removed during the export",
                ));
            }
            self.after = row.sequence;
            lines.push_str(row.json.get());
            lines.push('\n');
        }
        if self.whole && self.after < self.until && lines.is_empty() {
            return Err(Error::Internal(
                "rows of the audit log are missing; they may have been removed during the export",
            ));
        }
        if rows.last().is_none_or(|row| row.sequence >= self.until) {
            self.after = self.until;
        }
        Ok(Some((lines.into(), self)))
    }
}

fn confined(context: &OpContext, filter: AuditFilter) -> AuditFilter {
    AuditFilter {
        tenancy: context.caller.tenancy.clone(),
        ..filter
    }
}
