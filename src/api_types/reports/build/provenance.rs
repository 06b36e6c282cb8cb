//! Where a report comes from: what was asked of Enterprise Manager, what could not be known, and what the figures do not say.

use super::Material;
use crate::api_types::reports::sources::Provenance;
use crate::domain::evidence::measure::Absence;
use crate::domain::plan::PlanKind;
use crate::text::counted;

/// What the figures do not say; in every report.
const LIMITS: &[&str] = &[
    "The end of a machine, as Enterprise Manager tells it, means that the machine was switched on as the plan says, not that \
     its application answers. Checks are recorded for that.",
    "Times of machines and of the session are Enterprise Manager's own; it may round them.",
];

pub(super) fn provenance(material: &Material<'_>) -> Provenance {
    let facts = material.session.map(|session| &session.facts);
    let plan = material.asked.plan.as_ref();
    let (mut queries, mut filters, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(plan) = plan {
        queries.push(format!(
            "GET /{}/{}?format=Entity",
            plan.kind.em_collection(),
            plan.id
        ));
    } else {
        gaps.push(
            "The plan at the time of the failover is not known; its machines are those of the session."
                .to_owned(),
        );
    }
    if let Some(facts) = facts {
        queries.push("GET /query?type=CloudFailoverSession&format=Entities".to_owned());
        filters.push(format!("the session with the id {}", facts.id));
        queries.push(
            "GET /cloud/vmReplicaPoints/{id}?format=Entity, for each restore point of the session".to_owned(),
        );
    } else if plan.is_some_and(|plan| plan.kind == PlanKind::OnPremises) {
        queries.push("GET /query?type=VmReplicaPoint&format=Entities".to_owned());
        gaps.push(
            "Enterprise Manager records no failover session for on-premises plans: the times of machines are not known, and the \
             data loss is estimated by the newest restore points at the request."
                .to_owned(),
        );
    } else {
        gaps.push("There is no failover session.".to_owned());
    }
    if material.asked.clock.is_none() && material.operation.is_some() {
        gaps.push("The difference between Enterprise Manager's clock and the gateway's was not known at the request.".to_owned());
    }
    let gone = material
        .judgement
        .machines
        .iter()
        .filter(|machine| machine.rpa.measure().figure() == Err(Absence::PointGone))
        .count();
    if gone > 0 {
        let were = if gone == 1 { "was" } else { "were" };
        gaps.push(format!(
            "{} {were} removed and could not be read.",
            counted(gone, "restore point")
        ));
    }
    if material.backup_server_version.is_some() {
        queries.push("GET /backupServers/{id}?format=Entity".to_owned());
    }
    let read = facts.map_or(0, |facts| facts.machines.len());
    let of_plan = plan.and_then(|plan| plan.backup_server.as_ref());
    Provenance {
        em_address: material.em_address.clone(),
        em_api_version: material.em_api_version.map(ToOwned::to_owned),
        backup_server_version: material.backup_server_version.clone(),
        backup_server: facts
            .and_then(|facts| facts.backup_server.as_ref())
            .or(of_plan)
            .map(Into::into),
        queries,
        filters,
        records_read: read,
        records_shown: material
            .judgement
            .machines
            .iter()
            .filter(|machine| machine.result.is_some() || machine.started_at.is_some())
            .count()
            .min(read),
        gaps,
        limits: LIMITS.to_vec(),
        audit: material.audit.iter().map(|(_, row)| row.clone()).collect(),
    }
}
