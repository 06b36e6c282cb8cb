//! Reading the audit log: pages by filter, and the whole chain for an export or a verification.

use jiff::Timestamp;
use serde_json::value::RawValue;
use sqlx::any::AnyRow;

use super::CORRUPT;
use super::chain::{self, Anchor, Link, Row, shown};
use crate::domain::access::Tenancy;
use crate::domain::audit::AuditAction;
use crate::domain::id::OperationId;
use crate::store::cursor::{Cursor, Page};
use crate::store::readable::AUDIT;
use crate::store::row::{Columns as _, micros};
use crate::store::sql::Sql;
use crate::store::{Error, Store};

const COLUMNS: &str = "sequence, at, actor_issuer, actor_subject, actor_token_id, actor_address, action, target, tenant_id, \
     tenant_name, operation_id, request_id, outcome, status, details, previous_hash, hash";

/// Which rows are shown; absent and empty mean all.
#[derive(Debug, Clone)]
pub struct AuditFilter {
    /// The caller's name.
    pub actor: Option<String>,
    /// What it is about.
    pub actions: Vec<AuditAction>,
    /// The operation concerned.
    pub operation: Option<OperationId>,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
    /// Whose rows.
    pub tenancy: Tenancy,
}

/// A row as it is told: the very text whose form is hashed.
#[derive(Debug, Clone)]
pub struct AuditRow {
    /// Its number.
    pub sequence: i64,
    /// Its JSON, in the canonical form with the hash.
    pub json: Box<RawValue>,
}

impl Default for AuditFilter {
    fn default() -> Self {
        Self {
            actor: None,
            actions: Vec::new(),
            operation: None,
            from: None,
            to: None,
            tenancy: Tenancy::All,
        }
    }
}

impl Store {
    /// A page of the rows that the filter lets through, oldest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        cursor: Option<Cursor<i64>>,
        limit: i64,
    ) -> Result<Vec<AuditRow>, Error> {
        let mut page = Page::by_sequence(cursor, limit);
        loop {
            let mut query = Sql::new(format!("select {COLUMNS} from audit where 1 = 1"));
            narrow(&mut query, filter);
            page.confine(&mut query);
            let rows = query.fetch_all(self.reader()).await?;
            if !page.add(self.read_rows(AUDIT, &rows, told)?, &rows)? {
                return Ok(page.done());
            }
        }
    }

    /// The last row of the chain.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn audit_head(&self) -> Result<Link, Error> {
        let head = self.recorded_audit_head().await?;
        head.ok_or(Error::Database(sqlx::Error::RowNotFound))
    }

    /// The last row of the chain; none where its record was removed, which no gateway does.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn recorded_audit_head(&self) -> Result<Option<Link>, Error> {
        let row = sqlx::query("select sequence, hash from audit_head where id = 1")
            .fetch_optional(self.reader())
            .await?;
        row.map(|row| {
            Ok(Link {
                sequence: row.int("sequence")?,
                hash: row.text("hash")?,
            })
        })
        .transpose()
    }

    /// What stands for the rows that were removed, if any were.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn audit_anchor(&self) -> Result<Option<Anchor>, Error> {
        let row =
            sqlx::query("select sequence, hash, at, public_key, signature from audit_anchor where id = 1")
                .fetch_optional(self.reader())
                .await?;
        row.map(|row| {
            Ok(Anchor {
                sequence: row.int("sequence")?,
                hash: row.text("hash")?,
                at: shown(row.at("at")?),
                public_key: row.text("public_key")?,
                signature: row.text("signature")?,
            })
        })
        .transpose()
    }

    /// The line that stands for the rows that were removed, for the beginning of an export.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn audit_anchor_line(&self) -> Result<Option<(i64, String)>, Error> {
        let anchor = self.audit_anchor().await?;
        anchor
            .map(|anchor| Ok((anchor.sequence, anchor.line().map_err(|_| CORRUPT)?)))
            .transpose()
    }

    /// The key by which this store's anchors are signed, in base64.
    #[must_use]
    pub fn audit_key(&self) -> String {
        use aws_lc_rs::signature::KeyPair as _;
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(self.sealer().signer().public_key().as_ref())
    }

    /// The lines of up to `limit` rows after `after`; one that cannot be read ends with its error, since a chain has no
    /// holes.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn audit_lines(&self, after: i64, limit: i64) -> Result<Vec<(i64, String)>, Error> {
        let mut query = Sql::new(format!("select {COLUMNS} from audit where sequence > "));
        query.bind(after).push(" order by sequence limit ").bind(limit);
        let rows = query.fetch_all(self.reader()).await?;
        rows.iter()
            .map(|row| {
                let told = told(row)?;
                Ok((told.sequence, told.json.get().to_owned()))
            })
            .collect()
    }
}

fn narrow(query: &mut Sql, filter: &AuditFilter) {
    if let Some(actor) = &filter.actor {
        query.push(" and actor_subject = ").bind(actor.clone());
    }
    query.and_one_of(
        "action",
        filter.actions.iter().map(|action| action.as_str().to_owned()),
    );
    if let Some(operation) = filter.operation {
        query.push(" and operation_id = ").bind(operation.to_string());
    }
    if let Some(from) = filter.from {
        query.push(" and at >= ").bind(micros(from));
    }
    if let Some(to) = filter.to {
        query.push(" and at < ").bind(micros(to));
    }
    match &filter.tenancy {
        Tenancy::All => {}
        Tenancy::Only(tenants) if tenants.is_empty() => {
            query.push(" and 1 = 0");
        }
        Tenancy::Only(tenants) => {
            query.push(" and (1 = 0");
            for column in ["tenant_id", "tenant_name"] {
                query.push(" or (1 = 1");
                query.and_one_of(column, tenants.iter().cloned()).push(")");
            }
            query.push(")");
        }
    }
}

fn told(row: &AnyRow) -> Result<AuditRow, Error> {
    let (id, name) = (row.opt_text("tenant_id")?, row.opt_text("tenant_name")?);
    let row = Row {
        sequence: row.int("sequence")?,
        at: shown(row.at("at")?),
        actor: chain::Actor {
            issuer: row.opt_text("actor_issuer")?,
            subject: row.opt_text("actor_subject")?,
            token_id: row.opt_text("actor_token_id")?,
            address: row.opt_text("actor_address")?,
        },
        action: row.text("action")?,
        target: row.opt_text("target")?,
        tenant: (id.is_some() || name.is_some()).then_some(chain::Tenant { id, name }),
        operation_id: row.opt_text("operation_id")?,
        request_id: row.opt_text("request_id")?,
        outcome: row.text("outcome")?,
        status: row.opt_int("status")?,
        details: row.document("details")?,
        previous_hash: row.text("previous_hash")?,
        hash: row.text("hash")?,
    };
    Ok(AuditRow {
        sequence: row.sequence,
        json: row.line().and_then(chain::raw).map_err(|_| CORRUPT)?,
    })
}
