//! The fields of EM's documents that the gateway reads, one struct for each type of document.
//!
//! They are read leniently: what is absent, or not of the type that the catalogue says, is simply not known. An answer without
//! an identity where one is needed is refused whole by who asked.

use jiff::Timestamp;
use serde::Deserialize;

use super::lenient::{items, lenient, record, text};
use super::paths;
use crate::domain::id::EmId;
use crate::domain::plan::Reference;

/// An id that says something: EM writes the nil id where there is none.
pub(super) fn id(text: Option<&str>) -> Option<EmId> {
    let id: EmId = text?.trim().parse().ok()?;
    (id.as_str() != "00000000-0000-0000-0000-000000000000").then_some(id)
}

/// The id of a record: its own, the one in its URN, or the one at the end of its address.
pub(super) fn own_id(own: Option<&str>, uid: Option<&str>, href: Option<&str>) -> Option<EmId> {
    let address = || paths::id_in(href?).and_then(|found| id(Some(found.as_str())));
    id(own).or_else(|| id(uid)).or_else(address)
}

/// `Error`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ErrorDocument {
    #[serde(deserialize_with = "text")]
    pub message: Option<String>,
    #[serde(deserialize_with = "text")]
    pub first_chance_exception_message: Option<String>,
}

/// A `Link`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Link {
    #[serde(deserialize_with = "text")]
    pub rel: Option<String>,
    #[serde(deserialize_with = "text")]
    pub href: Option<String>,
    #[serde(deserialize_with = "text")]
    pub name: Option<String>,
    #[serde(rename = "type", deserialize_with = "text")]
    pub kind: Option<String>,
}

impl Link {
    pub fn is(&self, rel: &str) -> bool {
        self.rel
            .as_deref()
            .is_some_and(|own| own.eq_ignore_ascii_case(rel))
    }

    /// Whether it leads to a thing of that type, by reference or whole.
    pub fn leads_to(&self, kind: &str) -> bool {
        self.kind
            .as_deref()
            .is_some_and(|own| own.strip_suffix("Reference").unwrap_or(own) == kind)
    }

    /// The id at its end.
    pub fn id(&self) -> Option<EmId> {
        paths::id_in(self.href.as_deref()?)
    }

    /// What it leads to, as others mention it.
    pub fn reference(&self) -> Option<Reference> {
        Some(Reference {
            id: self.id()?,
            name: self.name.clone(),
        })
    }
}

/// The backup server that an object belongs to.
pub(super) fn backup_server(links: &[Link]) -> Option<Reference> {
    let up = links
        .iter()
        .find(|link| link.is("up") && link.leads_to("BackupServer"));
    up.and_then(Link::reference)
}

/// `EnterpriseManager`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct EnterpriseManagerDocument {
    #[serde(deserialize_with = "items")]
    pub supported_versions: Vec<VersionDocument>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct VersionDocument {
    #[serde(deserialize_with = "text")]
    pub name: Option<String>,
}

/// `LogonSession`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogonDocument {
    #[serde(deserialize_with = "items")]
    pub links: Vec<Link>,
    #[serde(deserialize_with = "text")]
    pub session_id: Option<String>,
}

/// `Task`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TaskDocument {
    #[serde(deserialize_with = "items")]
    pub links: Vec<Link>,
    #[serde(deserialize_with = "text")]
    pub href: Option<String>,
    #[serde(deserialize_with = "text")]
    pub task_id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub state: Option<String>,
    #[serde(deserialize_with = "record")]
    pub result: Option<TaskResultDocument>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TaskResultDocument {
    #[serde(deserialize_with = "lenient")]
    pub success: Option<bool>,
    #[serde(deserialize_with = "text")]
    pub message: Option<String>,
}

/// `QueryResult`
#[derive(Deserialize)]
pub(super) struct QueryDocument<T> {
    pub items: Vec<T>,
    #[serde(default, deserialize_with = "record")]
    pub page: Option<PageDocument>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PageDocument {
    #[serde(deserialize_with = "lenient")]
    pub size: Option<u32>,
    #[serde(deserialize_with = "lenient")]
    pub number: Option<u32>,
    #[serde(deserialize_with = "lenient")]
    pub total: Option<u32>,
    #[serde(deserialize_with = "text")]
    pub next: Option<String>,
}

/// `CloudFailoverPlan` and `FailoverPlan`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PlanDocument {
    #[serde(deserialize_with = "text")]
    pub id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub uid: Option<String>,
    #[serde(deserialize_with = "text")]
    pub href: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub name: Option<String>,
    #[serde(deserialize_with = "items")]
    pub links: Vec<Link>,
    #[serde(deserialize_with = "text")]
    pub tenant_uid: Option<String>,
    #[serde(deserialize_with = "text")]
    pub tenant_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub description: Option<String>,
    #[serde(deserialize_with = "record")]
    pub cloud_failover_plan_options: Option<OptionsDocument>,
    #[serde(deserialize_with = "record")]
    pub cloud_failover_plan_info: Option<InfoDocument>,
    #[serde(deserialize_with = "record")]
    pub failover_plan_info: Option<InfoDocument>,
}

/// `CloudTenant`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TenantDocument {
    #[serde(deserialize_with = "text")]
    pub id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub uid: Option<String>,
    #[serde(deserialize_with = "text")]
    pub href: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct OptionsDocument {
    #[serde(deserialize_with = "lenient")]
    pub pre_failover_plan_command_enabled: Option<bool>,
    #[serde(deserialize_with = "text")]
    pub pre_failover_plan_command: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub post_failover_plan_command_enabled: Option<bool>,
    #[serde(deserialize_with = "text")]
    pub post_failover_plan_command: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct InfoDocument {
    #[serde(deserialize_with = "items")]
    pub includes: Vec<PlanMachineDocument>,
}

/// `CloudFailoverPlanVm` and `FailoveredVm`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PlanMachineDocument {
    #[serde(deserialize_with = "text")]
    pub failover_plan_vm_id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub failovered_vm_id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub name: Option<String>,
    #[serde(deserialize_with = "text")]
    pub display_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub order: Option<i64>,
}

/// `CloudFailoverSession`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SessionDocument {
    #[serde(deserialize_with = "text")]
    pub id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub uid: Option<String>,
    #[serde(deserialize_with = "text")]
    pub href: Option<String>,
    #[serde(deserialize_with = "text")]
    pub name: Option<String>,
    #[serde(deserialize_with = "text")]
    pub cloud_failover_plan_name: Option<String>,
    #[serde(deserialize_with = "text")]
    pub job_uid: Option<String>,
    #[serde(deserialize_with = "text")]
    pub job_name: Option<String>,
    #[serde(deserialize_with = "text")]
    pub job_type: Option<String>,
    #[serde(deserialize_with = "items")]
    pub links: Vec<Link>,
    #[serde(flatten)]
    pub course: CourseDocument,
    #[serde(deserialize_with = "items")]
    pub cloud_failover_tasks: Vec<MachineDocument>,
}

/// A `BackupServer`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BackupServerDocument {
    #[serde(deserialize_with = "text")]
    pub version: Option<String>,
}

/// A `CloudVmReplicaPoint` or `VmReplicaPoint`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PointDocument {
    #[serde(deserialize_with = "text")]
    pub id: Option<String>,
    #[serde(deserialize_with = "text")]
    pub uid: Option<String>,
    #[serde(deserialize_with = "text")]
    pub href: Option<String>,
    #[serde(deserialize_with = "text")]
    pub vm_display_name: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub creation_time_utc: Option<Timestamp>,
    #[serde(deserialize_with = "text")]
    pub point_type: Option<String>,
    #[serde(deserialize_with = "text")]
    pub state: Option<String>,
}

/// What sessions and the machines in them have in common.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CourseDocument {
    #[serde(deserialize_with = "text")]
    pub state: Option<String>,
    #[serde(deserialize_with = "text")]
    pub result: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub progress: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    pub creation_time_utc: Option<Timestamp>,
    #[serde(deserialize_with = "lenient")]
    pub end_time_utc: Option<Timestamp>,
    #[serde(deserialize_with = "text")]
    pub failure_message: Option<String>,
}

/// An item of `CloudFailoverTasks`
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MachineDocument {
    #[serde(deserialize_with = "text")]
    pub vm_name: Option<String>,
    #[serde(deserialize_with = "record")]
    pub vm_replica_point_link: Option<Link>,
    #[serde(flatten)]
    pub course: CourseDocument,
}
