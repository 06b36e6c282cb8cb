//! Whose rows are whose: the columns that name a tenant or an owner, and the one place that makes a condition of a caller's
//! [`Tenancy`]. Every statement that reads for a caller ends with one of these conditions.
//!
//! Rows that a program of an earlier version wrote are completed here too, from their own documents, at the start and by
//! the worker that removes old rows, since such a program may still run beside this one.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;

use super::row::{Columns as _, json, micros};
use super::sql::Sql;
use super::text::{kept, opt_kept};
use super::{Error, Store};
use crate::domain::access::Tenancy;
use crate::domain::id::EmId;
use crate::domain::plan::{PlanRef, Reference};
use crate::domain::session::{SessionFacts, SessionRecord};

/// How many rows of an earlier program are completed in one transaction.
const STEP: i64 = 500;

/// The columns `tenant_id` and `tenant_name` of what belongs to a tenant.
pub(in crate::store) fn columns(tenant: Option<&Reference>) -> (Option<String>, Option<String>) {
    let name = tenant.and_then(|tenant| opt_kept(tenant.name.as_ref()));
    (tenant.map(|tenant| tenant.id.key()), name)
}

/// The column `owner_tenants` of those who are confined to the same set.
pub(in crate::store) fn owner_column(
    confinement: Option<&BTreeSet<String>>,
) -> Result<Option<String>, Error> {
    confinement
        .map(|tenants| json(tenants, "webhook_endpoints.owner_tenants"))
        .transpose()
}

/// What the column `owner_tenants` says.
pub(in crate::store) fn owner_from(row: &AnyRow) -> Result<Option<BTreeSet<String>>, Error> {
    row.opt_document("owner_tenants")
}

impl Sql {
    /// Appends the condition that a row belongs to a tenant that is seen.
    pub(in crate::store) fn and_seen_by(&mut self, tenancy: &Tenancy) -> &mut Self {
        if tenancy.is_confined() {
            self.confine().push(" and ").of_tenants(tenancy);
        }
        self
    }

    /// Appends the condition that a row of the event log is seen: one of a tenant, or about an endpoint of callers who are
    /// confined to the same set.
    pub(in crate::store) fn and_event_seen_by(&mut self, tenancy: &Tenancy) -> Result<&mut Self, Error> {
        if let Some(owner) = owner_column(tenancy.confinement().as_ref())? {
            self.confine().push(" and (").of_tenants(tenancy);
            self.push(" or owner_tenants = ").bind(owner).push(")");
        }
        Ok(self)
    }

    /// Appends the condition that an endpoint is one of callers who are confined to the same set.
    pub(in crate::store) fn and_owned_by(&mut self, tenancy: &Tenancy) -> Result<&mut Self, Error> {
        if let Some(owner) = owner_column(tenancy.confinement().as_ref())? {
            self.confine().push(" and owner_tenants = ").bind(owner);
        }
        Ok(self)
    }

    /// Appends the condition that a delivery goes to such an endpoint, or to the callback of an operation that is seen.
    pub(in crate::store) fn and_delivery_seen_by(&mut self, tenancy: &Tenancy) -> Result<&mut Self, Error> {
        if let Some(owner) = owner_column(tenancy.confinement().as_ref())? {
            // Not as one condition: PostgreSQL would compare every delivery with it.
            self.confine()
                .push(" and id in (select id from webhook_deliveries where owner_tenants = ")
                .bind(owner);
            self.push(
                " union all select d.id from operations o join webhook_deliveries d on d.operation_id = o.id where ",
            )
            .of_tenants(tenancy)
            .push(")");
        }
        Ok(self)
    }

    /// Appends the condition that a row belongs to one of the tenants.
    fn of_tenants(&mut self, tenancy: &Tenancy) -> &mut Self {
        let tenants = match tenancy {
            Tenancy::All => return self.push("1 = 1"),
            Tenancy::Only(tenants) if tenants.is_empty() => return self.push("1 = 0"),
            Tenancy::Only(tenants) => tenants,
        };
        let ids = tenants.iter().filter_map(|text| text.parse::<EmId>().ok());
        let ids: Vec<String> = ids.map(|id| id.key()).collect();
        self.push("(tenant_name in (")
            .bind_all(tenants.iter().cloned())
            .push(")");
        if !ids.is_empty() {
            self.push(" or tenant_id in (")
                .bind_all(ids.into_iter())
                .push(")");
        }
        self.push(")")
    }
}

/// A table with rows that may lack what their documents say.
struct Table {
    name: &'static str,
    key: &'static str,
    /// What is read of a row, beside its key.
    documents: &'static str,
    read: fn(&AnyRow) -> Row,
    /// The columns that are completed, each with its value among those of a row.
    columns: &'static str,
}

/// What a row's documents say; nothing where they cannot be read.
#[derive(Default)]
struct Row {
    tenant: Option<Reference>,
    facts: Option<SessionFacts>,
}

impl Row {
    /// The values of the columns; moments as text.
    fn values(self) -> [Option<String>; 6] {
        let (id, name) = columns(self.tenant.as_ref());
        match self.facts.as_ref().map(Listed::of) {
            Some(listed) => [
                id,
                name,
                Some(listed.plan_name),
                Some(listed.state),
                listed.result,
                listed.ended_at.map(|at| at.to_string()),
            ],
            None => [id, name, None, None, None, None],
        }
    }
}

const TENANT: &str = "tenant_read = 1, tenant_id = v.column2, tenant_name = v.column3";

const TABLES: [Table; 3] = [
    Table {
        name: "operations",
        key: "id",
        documents: "plan as document",
        read: |row| Row {
            tenant: plan_in(row).and_then(|plan| plan.owner().cloned()),
            facts: None,
        },
        columns: "",
    },
    Table {
        name: "failover_sessions",
        key: "key",
        documents: "plan as document, facts",
        read: |row| Row {
            tenant: plan_in(row).and_then(|plan| plan.owner().cloned()),
            facts: row.document("facts").ok(),
        },
        columns: ", plan_name = v.column4, state = v.column5, result = v.column6, ended_at = cast(v.column7 as bigint)",
    },
    Table {
        name: "events",
        key: "id",
        documents: "tenant as document",
        read: |row| Row {
            tenant: row.opt_document("document").ok().flatten(),
            facts: None,
        },
        columns: "",
    },
];

fn plan_in(row: &AnyRow) -> Option<PlanRef> {
    row.opt_document("document").ok().flatten()
}

impl Store {
    /// Completes all rows of earlier programs.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub(in crate::store) async fn complete_tenants(&self) -> Result<(), Error> {
        while self.complete_some_tenants().await? {}
        Ok(())
    }

    /// Completes some of the rows of earlier programs; true when there may be more.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub(in crate::store) async fn complete_some_tenants(&self) -> Result<bool, Error> {
        let mut more = false;
        for table in &TABLES {
            let Table {
                name, key, documents, ..
            } = table;
            let mut unread = Sql::new(format!(
                "select {key} as row_key, {documents} from {name} where tenant_read = 0 order by {key} limit "
            ));
            unread.bind(STEP);
            let rows = unread.fetch_all(self.reader()).await?;
            if rows.is_empty() {
                continue;
            }
            let mut complete = Sql::new(format!(
                "update {name} set {TENANT}{} from (values ",
                table.columns
            ));
            for (at, row) in rows.iter().enumerate() {
                complete
                    .push(if at == 0 { "(" } else { ", (" })
                    .bind(row.text("row_key")?);
                for value in (table.read)(row).values() {
                    complete.push(", ");
                    match value {
                        Some(value) => complete.bind(value),
                        None => complete.push("null"),
                    };
                }
                complete.push(")");
            }
            complete.push(&format!(") as v where {name}.{key} = v.column1"));
            let mut tx = self.begin().await?;
            complete.fetch_all(tx.connection()).await?;
            tx.commit().await?;
            more = true;
        }
        Ok(more)
    }
}

/// What a list of sessions is filtered and sorted by.
pub(in crate::store) struct Listed {
    pub plan_name: String,
    pub state: String,
    pub result: Option<String>,
    pub ended_at: Option<i64>,
}

impl Listed {
    pub(in crate::store) fn of(facts: &SessionFacts) -> Self {
        Self {
            plan_name: kept(&facts.plan_name.to_lowercase()),
            state: kept(&facts.state.word()),
            result: facts.result.as_ref().map(|result| kept(&result.word())),
            ended_at: facts.ended_at.map(micros),
        }
    }
}

/// Whose session it is.
pub(in crate::store) fn of_session(record: &SessionRecord) -> (Option<String>, Option<String>) {
    columns(record.plan.as_ref().and_then(PlanRef::owner))
}

#[cfg(test)]
#[path = "tenants_tests.rs"]
mod tests;
