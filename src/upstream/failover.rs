//! Failover plans of both kinds: read; `commands` runs, changes and deletes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::error::Error;
use super::fields::{
    InfoDocument, OptionsDocument, PlanDocument, PlanMachineDocument, QueryDocument, TenantDocument,
    backup_server, id, own_id,
};
use super::limits::Class;
use super::query::{Filter, SharedRows};
use super::reads::Reading;
use super::types::{Page, PageRequest, Sort, SortField};
use super::{EmClient, paths};
use crate::domain::id::EmId;
use crate::domain::plan::{Plan, PlanCommand, PlanKind, PlanMachine, Reference};

const PLAN_ROOTS: [&str; 2] = ["CloudFailoverPlan", "FailoverPlan"];

/// The most tenants that a query names: addresses have a limit.
const TENANTS_ASKED_FOR: usize = 20;

const BY_NAME: Sort = Sort {
    by: SortField::Name,
    descending: false,
};

impl EmClient {
    /// A page of the plans of one kind, by EM's own numbering. EM sorts plans by name only.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn plans(&self, kind: PlanKind, page: &PageRequest) -> Result<Page<Plan>, Error> {
        Ok((*self.shared_plans(kind, page).await?).clone())
    }

    /// The same, shared by all who get the same answer of EM's: as long as that is remembered, it is the same page.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn shared_plans(&self, kind: PlanKind, page: &PageRequest) -> Result<Arc<Page<Plan>>, Error> {
        let make = move |document| plan_row(kind, document);
        let rows = self
            .shared_rows(query_type(kind), &Filter::default(), page, make)
            .await?;
        let plans = &rows.page.items;
        self.note_rows(query_type(kind), plans, &rows.damaged, |plan| &plan.id);
        Ok(rows.page.clone())
    }

    /// The cloud plans of these tenants that can be read, by name. EM is asked for those of a few tenants only; of many, and
    /// where it compares names in another way than the gateway, more may come.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn plans_of_tenants(&self, tenants: &BTreeSet<String>) -> Result<Vec<Arc<Page<Plan>>>, Error> {
        if self.is_of_tenant() {
            return Ok(vec![self.own_plans().await?]);
        }
        let mut filter = Filter::default();
        if tenants.len() <= TENANTS_ASKED_FOR {
            let by_id = tenants
                .iter()
                .filter_map(|text| text.parse::<EmId>().ok())
                .map(|id| ("CloudTenantUid", format!("urn:veeam:CloudTenant:{id}")));
            let by_name = tenants.iter().map(|name| ("CloudTenantName", name.clone()));
            filter.and_one("==", by_name.chain(by_id));
        }
        self.every_page(PlanKind::Cloud, &filter).await
    }

    /// All that EM shows to a tenant's account. It answers no queries there, and gives the collection on one page.
    async fn own_plans(&self) -> Result<Arc<Page<Plan>>, Error> {
        let target = format!("{}?format=Entity", PlanKind::Cloud.em_collection());
        let kind = query_type(PlanKind::Cloud);
        let decoded = self
            .read(Reading::Collection(&["CloudFailoverPlans"]), &target)
            .await?;
        let rows: Arc<SharedRows<Plan>> = decoded.made(|decoded| {
            let (document, damaged): (QueryDocument<PlanDocument>, _) = decoded.rows()?;
            let rows = document.items.into_iter();
            let mut items: Vec<Plan> = rows
                .filter_map(|document| plan_row(PlanKind::Cloud, document))
                .collect();
            items.sort_by(|one, other| one.name.cmp(&other.name));
            let page = Page {
                number: 1,
                size: u32::try_from(items.len()).unwrap_or(u32::MAX),
                total: 1,
                items,
            };
            Ok(SharedRows {
                page: Arc::new(page),
                more: false,
                damaged,
            })
        })?;
        self.note_rows(kind, &rows.page.items, &rows.damaged, |plan| &plan.id);
        Ok(rows.page.clone())
    }

    /// All plans of one kind that can be read, by name.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn all_plans(&self, kind: PlanKind) -> Result<Vec<Plan>, Error> {
        self.every_plan(kind, &Filter::default()).await
    }

    /// The pages of all plans of one kind that can be read, by name, shared by all who get the same answers of EM's.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn all_shared_plans(&self, kind: PlanKind) -> Result<Vec<Arc<Page<Plan>>>, Error> {
        self.every_page(kind, &Filter::default()).await
    }

    /// All tenants that can be read, by name, also those without plans.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn tenants(&self) -> Result<Vec<Reference>, Error> {
        let all = Filter::default();
        let pages = self.all_rows("CloudTenant", &all, BY_NAME, tenant_row, |tenant| &tenant.id);
        let pages = pages.await?;
        Ok(pages.iter().flat_map(|page| page.items.iter().cloned()).collect())
    }

    /// The plans of one kind that have that name, ignoring letter case.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn plans_named(&self, kind: PlanKind, name: &str) -> Result<Vec<Plan>, Error> {
        let mut filter = Filter::default();
        filter.and("Name", "==", name);
        self.every_plan(kind, &filter).await
    }

    async fn every_plan(&self, kind: PlanKind, filter: &Filter) -> Result<Vec<Plan>, Error> {
        let pages = self.every_page(kind, filter).await?;
        Ok(pages.iter().flat_map(|page| page.items.iter().cloned()).collect())
    }

    async fn every_page(&self, kind: PlanKind, filter: &Filter) -> Result<Vec<Arc<Page<Plan>>>, Error> {
        let make = move |document| plan_row(kind, document);
        self.all_rows(query_type(kind), filter, BY_NAME, make, |plan| &plan.id)
            .await
    }

    /// A plan as EM describes it now.
    ///
    /// # Errors
    /// [`Error`]; [`Error::is_not_found`] when EM does not know it.
    pub async fn plan(&self, kind: PlanKind, id: &EmId) -> Result<Plan, Error> {
        Ok((*self.shared_plan(kind, id).await?).clone())
    }

    /// The same, shared by all who get the same answer of EM's: as long as that is remembered, it is the same plan.
    ///
    /// # Errors
    /// As [`EmClient::plan`].
    pub async fn shared_plan(&self, kind: PlanKind, id: &EmId) -> Result<Arc<Plan>, Error> {
        let decoded = self.read(Reading::Record(&PLAN_ROOTS), &whole(kind, id)).await?;
        decoded.made(|decoded| Ok(plan_asked_for(kind, id, decoded.read()?)))
    }

    /// A plan as EM has it at this moment, whatever was read before, and its document as the mirror shows it.
    ///
    /// # Errors
    /// As [`EmClient::plan`].
    pub async fn plan_fresh(&self, kind: PlanKind, id: &EmId) -> Result<(Plan, Bytes), Error> {
        let decoded = self.fetch(Class::Read, &whole(kind, id), &PLAN_ROOTS).await?;
        Ok((plan_asked_for(kind, id, decoded.read()?), decoded.json.clone()))
    }
}

/// Where EM shows a plan whole.
fn whole(kind: PlanKind, id: &EmId) -> String {
    format!("{}?format=Entity", paths::plan(kind, id))
}

/// The plan's type, which is also its root and the word in queries.
const fn query_type(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Cloud => "CloudFailoverPlan",
        PlanKind::OnPremises => "FailoverPlan",
    }
}

/// A row of a query; none without an id.
fn plan_row(kind: PlanKind, document: PlanDocument) -> Option<Plan> {
    let own = own_id(
        document.id.as_deref(),
        document.uid.as_deref(),
        document.href.as_deref(),
    )?;
    Some(plan(kind, own, document))
}

/// A row of a query for tenants; none without an id.
fn tenant_row(document: TenantDocument) -> Option<Reference> {
    let id = own_id(
        document.id.as_deref(),
        document.uid.as_deref(),
        document.href.as_deref(),
    )?;
    Some(Reference {
        id,
        name: document.name,
    })
}

/// What EM answers when it is asked for that plan, whether or not it says which one it is.
fn plan_asked_for(kind: PlanKind, asked: &EmId, document: PlanDocument) -> Plan {
    let own = own_id(document.id.as_deref(), document.uid.as_deref(), None);
    plan(kind, own.unwrap_or_else(|| asked.clone()), document)
}

fn plan(kind: PlanKind, own: EmId, document: PlanDocument) -> Plan {
    let machines = match kind {
        PlanKind::Cloud => document.cloud_failover_plan_info,
        PlanKind::OnPremises => document.failover_plan_info,
    };
    let machines = machines.map_or_else(Vec::new, |InfoDocument { includes }| includes);
    let (pre_command, post_command) = match kind {
        PlanKind::Cloud => commands(document.cloud_failover_plan_options.unwrap_or_default()),
        PlanKind::OnPremises => (None, None),
    };
    let tenant = id(document.tenant_uid.as_deref()).map(|id| Reference {
        id,
        name: document.tenant_name,
    });
    Plan {
        id: own,
        uid: document.uid,
        kind,
        name: document.name.unwrap_or_default(),
        description: document.description,
        tenant: tenant.filter(|_| kind == PlanKind::Cloud),
        backup_server: backup_server(&document.links),
        machines: machines.into_iter().map(machine).collect(),
        pre_command,
        post_command,
    }
}

fn commands(options: OptionsDocument) -> (Option<PlanCommand>, Option<PlanCommand>) {
    let command = |enabled: Option<bool>, command| {
        Some(PlanCommand {
            enabled: enabled.unwrap_or(false),
            command,
        })
    };
    (
        command(
            options.pre_failover_plan_command_enabled,
            options.pre_failover_plan_command,
        ),
        command(
            options.post_failover_plan_command_enabled,
            options.post_failover_plan_command,
        ),
    )
}

fn machine(document: PlanMachineDocument) -> PlanMachine {
    PlanMachine {
        id: id(document
            .failover_plan_vm_id
            .as_deref()
            .or(document.failovered_vm_id.as_deref())),
        name: document.display_name.or(document.name).unwrap_or_default(),
        order: document.order,
    }
}
