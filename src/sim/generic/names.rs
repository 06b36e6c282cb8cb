//! The names of items.

use jiff::tz::TimeZone;

use super::facts;
use super::kinds::kind;
use crate::sim::inventory::FIRST_PLAN;
use crate::sim::scene::{Row, Scene, hash};
use crate::text::lower_camel;

impl Scene<'_> {
    /// The name of a thing: the world's own, the one a request gave it, or one that fits its kind.
    pub fn name(self, row: &Row) -> String {
        if let Some(name) = self.world.changes.name(row.key) {
            return name.to_owned();
        }
        if let Some(name) = self.fixed_name(row) {
            return match row.kind.path {
                "/cloud/vmReplicaPoints" => format!("{name}@{}", self.stamp(row)),
                _ => name.to_owned(),
            };
        }
        let number = row.index + 1;
        let machine = || self.machine(row);
        match row.kind.path {
            "/catalog/vms" => row.id.clone(),
            "/jobs" => match (facts::job_type(row.index), row.index) {
                ("Replica", _) => format!("Replication to DR site {number}"),
                ("Backup", 0) => "Backup Job 1".to_owned(),
                ("Backup", _) => format!("Nightly \"Gold\" & 'Silver' #{number}"),
                (kind, _) => format!("{kind} Job {number}"),
            },
            "/backups" | "/replicas" => self
                .above(row.kind, row.index)
                .map_or_else(String::new, |(above, at)| self.name(&self.nth(above, at, None))),
            "/backupSessions" | "/replicaSessions" | "/cdpReplicaSessions" => {
                let above = self.above(row.kind, row.index);
                let job = above.map(|(above, at)| self.name(&self.nth(above, at, None)));
                format!("{}@{}", job.unwrap_or_default(), self.stamp(row))
            }
            // Two spaces, as the manual shows it.
            "/restorePoints" => {
                let at = facts::created(self, row).to_zoned(TimeZone::UTC);
                at.strftime("%b %d %Y  %-I:%M%p").to_string()
            }
            "/backupFiles" => {
                let ending = ["vbk", "vib", "vrb"];
                let ending = ending.get(row.index % ending.len()).unwrap_or(&"vbk");
                let day = facts::created(self, row).strftime("%Y-%m-%dT%H%M%S").to_string();
                format!("Backup Job {number}{day}.{ending}")
            }
            "/systemSessions" => format!("Enterprise Manager collection {number}"),
            "/repositories" if row.index == 1 => "Scale-out \"Ärchive\" <cold>".to_owned(),
            "/security/roles" => {
                let roles = [
                    "Portal Administrator",
                    "Portal User",
                    "Restore Operator",
                    "Host Administrator",
                ];
                roles
                    .get(row.index % roles.len())
                    .copied()
                    .unwrap_or("")
                    .to_owned()
            }
            "/security/accounts" => format!("LAB\\operator{number}"),
            "/cloud/tenants" => format!("Tenant {number} (North)"),
            "/cloud/vlans" => format!("vSwitch{number}"),
            "/nas/fileServers" => format!("\\\\filer{number}\\share"),
            "/agents/discoveredComputers" => machine(),
            path if path.ends_with("/includes") => machine(),
            path if names_machine(row) => match path {
                "/cdpReplicas/{ID}/vms" | "/cdpReplica/vApps/{ID}/vms" | "/cdpReplica/vApps" => machine(),
                _ => format!("{}@{}", machine(), self.stamp(row)),
            },
            _ => format!("{} {number}", words(row.kind.label)),
        }
    }

    /// The machine that a thing is about.
    pub fn machine(self, row: &Row) -> String {
        if row.kind.path == "/cloud/vmReplicaPoints"
            && let Some(machine) = self.machine_of(row)
        {
            return machine.name.clone();
        }
        if let Some(owner) = row
            .owner
            .as_ref()
            .filter(|owner| owner.kind.path == "/catalog/vms")
        {
            return owner.id.clone();
        }
        let points = row
            .kind
            .plan
            .beside
            .iter()
            .find(|path| path.ends_with("RestorePoints"));
        if let Some(point) = points
            .and_then(|path| kind(path))
            .and_then(|points| self.relation(row, points))
        {
            return self.machine(&point);
        }
        let number = hash(&[row.kind.path, &row.id, "machine"]) % 12;
        facts::machine(usize::try_from(number).unwrap_or(0))
    }

    /// The time in a thing's name.
    fn stamp(self, row: &Row) -> String {
        facts::created(self, row)
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
    }
}

fn names_machine(row: &Row) -> bool {
    let has = |name: &str| row.kind.entity.fields.iter().any(|field| field.name == name);
    has("VmDisplayName")
        || has("VAppDisplayName")
        || has("VmRef")
        || has("vAppRef")
        || row.kind.path.ends_with("RestorePoints")
}

/// `CloudGatewayPool` → `Cloud gateway pool`.
pub fn words(name: &str) -> String {
    let camel = lower_camel(name);
    let mut out = String::with_capacity(camel.len() + 4);
    for c in camel.chars() {
        if c.is_uppercase() {
            out.push(' ');
            out.extend(c.to_lowercase());
        } else if out.is_empty() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// A reference to an object of a hypervisor.
pub fn hierarchy_ref(row: &Row, field: &str) -> String {
    let number = hash(&[&row.id, row.kind.path, field]);
    let root = FIRST_PLAN;
    let (platform, object) = match (field, number % 4) {
        ("OrganizationRef" | "OrgVdcRef" | "VirtualDataCenterRef" | "vAppRef", _) => {
            ("vCloud:Vapp", format!("urn:vcloud:vapp:{}", row.key))
        }
        (_, 0) => ("HyperV:Vm", row.key.to_string()),
        _ => ("VMware:Vm", format!("vm-{}", number % 9_000)),
    };
    format!("urn:{platform}:{root}.{object}")
}
