//! Restore points of machines: the newest of each of a plan, and one that a session names.

use jiff::Timestamp;

use super::EmClient;
use super::error::Error;
use super::fields::{BackupServerDocument, PointDocument, own_id};
use super::query::{Filter, Freshness, LARGEST_PAGE};
use super::reads::Reading;
use super::types::{PageRequest, Sort, SortField};
use crate::domain::evidence::run::PointFacts;
use crate::domain::id::EmId;
use crate::domain::plan::{Plan, PlanKind, RestorePoint};

/// The most machines that one query names, so that its address stays short.
const MACHINES: usize = 20;
/// The most pages that are read for one query; what older pages would show stays unknown.
const PAGES: u32 = 5;

const NEWEST_FIRST: Sort = Sort {
    by: SortField::StartedAt,
    descending: true,
};

impl EmClient {
    /// The newest restore point of each machine of `plan`, in the plan's order, none newer than `before`. None where EM
    /// shows none.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn newest_points(
        &self,
        plan: &Plan,
        before: Option<Timestamp>,
    ) -> Result<Vec<Option<RestorePoint>>, Error> {
        let kind = match plan.kind {
            PlanKind::Cloud => "CloudVmReplicaPoint",
            PlanKind::OnPremises => "VmReplicaPoint",
        };
        let mut newest: Vec<Option<RestorePoint>> = Vec::with_capacity(plan.machines.len());
        for machines in plan.machines.chunks(MACHINES) {
            let names: Vec<&str> = machines.iter().map(|machine| machine.name.as_str()).collect();
            let mut found: Vec<Option<RestorePoint>> = names.iter().map(|_| None).collect();
            let mut filter = Filter::default();
            filter.and_one(
                "==",
                names.iter().map(|name| ("VmDisplayName", (*name).to_owned())),
            );
            if let Some(before) = before {
                filter.and("CreationTime", "<", before);
            }
            for page in 1..=PAGES {
                let page = PageRequest {
                    page,
                    page_size: LARGEST_PAGE,
                    sort: Some(NEWEST_FIRST),
                };
                let rows = self.rows(kind, &filter, &page, Freshness::Shared, point).await?;
                for (name, point) in rows.page.items {
                    let machine = names.iter().position(|own| own.eq_ignore_ascii_case(&name));
                    let place = machine.and_then(|machine| found.get_mut(machine));
                    if let Some(place) = place
                        && place
                            .as_ref()
                            .is_none_or(|known| known.created_at < point.created_at)
                    {
                        *place = Some(point);
                    }
                }
                if !rows.more || found.iter().all(Option::is_some) {
                    break;
                }
            }
            newest.append(&mut found);
        }
        Ok(newest)
    }
}

impl EmClient {
    /// A restore point of a cloud replica as EM shows it now. One that EM no longer knows has neither time nor state.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn replica_point(&self, id: &EmId) -> Result<PointFacts, Error> {
        let target = format!("cloud/vmReplicaPoints/{id}?format=Entity");
        let read = self
            .read(Reading::Record(&["CloudVmReplicaPoint"]), &target)
            .await;
        let document: PointDocument = match read {
            Ok(decoded) => decoded.read()?,
            Err(error) if error.is_not_found() => PointDocument::default(),
            Err(error) => return Err(error),
        };
        Ok(PointFacts {
            id: id.clone(),
            created_at: document.creation_time_utc,
            kind: document.point_type,
            state: document.state,
            read_at: self.inner.clock.now(),
        })
    }
}

impl EmClient {
    /// The version of a backup server, as EM shows it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn backup_server_version(&self, id: &EmId) -> Result<Option<String>, Error> {
        let target = format!("backupServers/{id}?format=Entity");
        let read = self.read(Reading::Record(&["BackupServer"]), &target).await?;
        Ok(read.read::<BackupServerDocument>()?.version)
    }
}

/// A row with its machine; none without one, an id and a time.
fn point(document: PointDocument) -> Option<(String, RestorePoint)> {
    let id = own_id(
        document.id.as_deref(),
        document.uid.as_deref(),
        document.href.as_deref(),
    )?;
    let created_at = document.creation_time_utc?;
    Some((document.vm_display_name?, RestorePoint { id, created_at }))
}
