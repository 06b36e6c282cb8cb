//! What must agree between the things of different kinds: types of jobs and backups, platforms, states, times.
//!
//! Everything here is a function of the kind and the number, so that a backup of a Linux agent belongs to an
//! agent's job, and a session that works has neither an end nor a result.

use jiff::{SignedDuration, Timestamp};

use super::kinds::{Kind, kind};
use crate::sim::scene::{Row, Scene, hash};
use crate::sim::seed;

/// Session collections reach back that far.
const WINDOW_HOURS: u64 = 30 * 24;

const JOB_TYPES: [&str; 5] = ["Backup", "Backup", "Replica", "BackupCopy", "ImmediateBackupCopy"];
const BACKUP_PLATFORMS: [&str; 6] = [
    "VMware",
    "AgentForLinux",
    "HyperV",
    "vCloud",
    "AgentForWindows",
    "VMware",
];
const SERVER_TYPES: [&str; 7] = [
    "VC",
    "Local",
    "Linux",
    "HvCluster",
    "Windows",
    "VcdSystem",
    "ESXi",
];

fn nth<'a>(list: &[&'a str], index: usize) -> &'a str {
    list.get(index % list.len().max(1)).copied().unwrap_or("")
}

/// An id that is no UUID: machines of the catalog have names, mount points numbers.
pub fn id(kind: &Kind, index: usize) -> Option<String> {
    match kind.path {
        "/catalog/vms" => Some(machine(index)),
        path if path.ends_with("/mounts") => Some((index + 1).to_string()),
        _ => None,
    }
}

/// The name of the machine of that number; some need escaping, in XML and in paths.
pub fn machine(number: usize) -> String {
    const NAMES: [&str; 9] = [
        "srv38",
        "filesrv03",
        "sql01.lab.example",
        "dc 01",
        "R&D <web>",
        "O'Hara's desk",
        "büro-7",
        "exch01",
        "app04",
    ];
    let name = nth(&NAMES, number);
    match number / NAMES.len() {
        0 => name.to_owned(),
        round => format!("{name}-{}", round + 1),
    }
}

/// Which of the kinds that it may belong to a thing belongs to.
pub fn variant(path: &str, index: usize) -> usize {
    match path {
        "/backups" => usize::from(backup_platform(index).starts_with("Agent")),
        "/backupSessions" => match index % 10 {
            3 | 7 => 1,
            5 => 2,
            _ => 0,
        },
        _ => 0,
    }
}

/// Restore points and backup files go in pairs.
pub fn one_to_one(path: &str) -> bool {
    path == "/restorePoints"
}

/// The type of the job of that number.
pub fn job_type(index: usize) -> &'static str {
    nth(&JOB_TYPES, index)
}

/// The platform of the backup of that number.
pub fn backup_platform(index: usize) -> &'static str {
    nth(&BACKUP_PLATFORMS, index)
}

fn replica_platform(index: usize) -> &'static str {
    nth(&["VMware", "Hyperv", "vCloud"], index)
}

/// Whether a thing may belong to, or have to do with, another one.
pub fn fits(scene: Scene<'_>, from: &'static Kind, index: usize, target: &'static Kind, at: usize) -> bool {
    let backup =
        |of: &'static Kind, index| kind("/backups").and_then(|backups| scene.strict(of, index, backups));
    match (from.path, target.path) {
        ("/hierarchyRoots", "/managedServers") => {
            matches!(nth(&SERVER_TYPES, at), "VC" | "HvCluster" | "VcdSystem" | "ESXi")
        }
        ("/backups" | "/backupSessions", "/jobs") => job_type(at) != "Replica",
        ("/backups", "/externalRepositories") => index.is_multiple_of(4),
        ("/replicas" | "/replicaSessions", "/jobs") => job_type(at) == "Replica",
        ("/vmRestorePoints", "/restorePoints") => {
            backup(target, at).is_some_and(|backup| matches!(backup_platform(backup), "VMware" | "HyperV"))
        }
        ("/vAppRestorePoints", "/restorePoints") => {
            backup(target, at).is_some_and(|backup| backup_platform(backup) == "vCloud")
        }
        ("/agents/agentRestorePoints", "/restorePoints") => {
            backup(target, at).is_some_and(|backup| backup_platform(backup).starts_with("Agent"))
        }
        ("/vAppReplicaPoints", "/replicas") => replica_platform(at) == "vCloud",
        ("/vmReplicaPoints", "/replicas") => replica_platform(at) != "vCloud",
        ("/backupSessions", "/restorePoints") => {
            let Some(jobs) = kind("/jobs") else { return false };
            let own = scene.strict(from, index, jobs);
            own.is_some() && scene.strict(target, at, jobs) == own
        }
        _ => true,
    }
}

/// Whether a view of a collection shows a thing; `below` is the last thing of the view's path.
pub fn shows(scene: Scene<'_>, view: &str, row: &Row, below: Option<&Row>) -> bool {
    let strict = |row: &Row, path: &str| scene.strict(row.kind, row.index, kind(path)?);
    let agents =
        || strict(row, "/backups").is_some_and(|backup| backup_platform(backup).starts_with("Agent"));
    let Some(below) = below else {
        return match view {
            "/agents/backups" | "/agents/backupFiles" | "/agents/restorePoints" => agents(),
            "/agents/backupSessions" => strict(row, "/agents/jobs").is_some(),
            "/nas/backupSessions" => strict(row, "/nas/jobs").is_some(),
            _ => true,
        };
    };
    match view {
        "/backups/{ID}/childbackups" => {
            backup_type(row.index) == "ChildBackup" && row.index == below.index + 1
        }
        "/backupSessions/{ID}/agentManagementSessions" => {
            let job = strict(row, "/agents/jobs");
            session_type(row.index) == "AgentManagement"
                && session_type(below.index) == "AgentBackup"
                && job.is_some()
                && job == strict(below, "/agents/jobs")
        }
        _ => scene.belongs(row, below),
    }
}

/// Whose identity the tenant of that number has; those of the plans are the provider's own.
pub fn tenant_type(index: usize) -> &'static str {
    nth(
        &[
            "Standalone",
            "Standalone",
            "Standalone",
            "Standalone",
            "vCD",
            "ActiveDirectory",
        ],
        index,
    )
}

fn backup_type(index: usize) -> &'static str {
    nth(&["Standard", "ParentBackup", "ChildBackup", "Standard"], index)
}

fn session_type(index: usize) -> &'static str {
    match (variant("/backupSessions", index), index % 20) {
        (1, 17) => "AgentManagement",
        (1, _) => "AgentBackup",
        (2, _) => "NasBackup",
        _ => "Backup",
    }
}

/// A value that other things depend on.
pub fn value(scene: Scene<'_>, row: &Row, field: &str) -> Option<String> {
    let at = row.index;
    let text = match (row.kind.path, field) {
        ("/backupServers", "Description") => {
            return scene
                .world
                .servers
                .get(at)
                .map(|server| server.description.clone());
        }
        ("/cloud/vmReplicaPoints", "State") => {
            let point = scene.machine_of(row)?.replica_point;
            if scene.world.uses(point, scene.now) {
                "Failover"
            } else {
                "Ready"
            }
        }
        ("/backupServers", "Port") => "9392",
        ("/backupServers", "Version") => "13.0.1.1071",
        ("/jobs", "JobType") => job_type(at),
        ("/jobs", "Platform") => nth(&["VMware", "Hyperv"], at),
        ("/agents/jobs", "Platform") => nth(&["AgentForLinux", "AgentForWindows"], at),
        ("/backups", "Platform") => backup_platform(at),
        ("/backups", "BackupType") => backup_type(at),
        ("/cloud/tenants", "Type") => tenant_type(at),
        ("/replicas", "Platform") => replica_platform(at),
        ("/managedServers", "ManagedServerType") => nth(&SERVER_TYPES, at),
        ("/hierarchyRoots", "HostType") => {
            let server = scene.strict(row.kind, at, kind("/managedServers")?)?;
            nth(&SERVER_TYPES, server)
        }
        ("/backupSessions", "JobType") => match scene.strict(row.kind, at, kind("/jobs")?) {
            Some(job) => job_type(job),
            None => session_type(at),
        },
        (_, "State" | "Result" | "Progress" | "FailureMessage" | "Reason") if has_state(row.kind) => {
            return state(scene, row, field);
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// Whether things of that kind begin, work and end.
pub fn has_state(kind: &Kind) -> bool {
    kind.entity.element(b"EndTimeUTC").is_some()
}

/// Whether it still works.
fn works(scene: Scene<'_>, row: &Row) -> bool {
    match parent(scene, row) {
        Some(parent) => works(scene, &parent) && row.index.is_multiple_of(2),
        None => row.index % 14 == 1,
    }
}

fn result(row: &Row) -> &'static str {
    match hash(&[row.kind.path, &row.id, "result"]) % 10 {
        0 => "Failed",
        1 | 2 => "Warning",
        _ => "Success",
    }
}

fn state(scene: Scene<'_>, row: &Row, field: &str) -> Option<String> {
    let works = works(scene, row);
    let system = row.kind.path == "/systemSessions";
    let task = row.kind.path.ends_with("TaskSessions");
    let text = match (field, works) {
        ("State", true) if system || task => "InProgress",
        ("State", true) => "Working",
        ("State", false) if system => match result(row) {
            "Success" => "CompletedSuccessfully",
            "Warning" => "CompletedWarning",
            other => other,
        },
        ("State", false) if task => "Completed",
        ("State", false) => "Stopped",
        ("Result", true) => "None",
        ("Result", false) => result(row),
        ("Progress", true) => return Some((hash(&[&row.id, "progress"]) % 100).to_string()),
        ("Progress", false) => "100",
        (_, false) => match result(row) {
            "Success" => return None,
            "Warning" => "Free space on 'C:\\Backup' is below 10 %",
            _ => "Host 'esx02.lab.example' is not available. Error: \"timed out\" <0x80004005>",
        },
        _ => return None,
    };
    Some(text.to_owned())
}

/// What a thing takes its time from: points of one backup, parts of one session.
fn parent(scene: Scene<'_>, row: &Row) -> Option<Row> {
    let timed = matches!(
        row.kind.path,
        "/restorePoints"
            | "/vmRestorePoints"
            | "/vAppRestorePoints"
            | "/agents/agentRestorePoints"
            | "/backupTaskSessions"
            | "/replicaTaskSessions"
            | "/cdpReplicaTaskSessions"
    );
    let (above, at) = timed.then(|| scene.above(row.kind, row.index)).flatten()?;
    Some(scene.nth(above, at, None))
}

fn hours(hours: u64) -> SignedDuration {
    SignedDuration::from_hours(i64::try_from(hours).unwrap_or(0))
}

fn seconds(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0))
}

/// When it came to be.
pub fn created(scene: Scene<'_>, row: &Row) -> Timestamp {
    let number = hash(&[row.kind.path, &row.id, "created"]);
    let born = scene.world.born;
    if row.kind.path == "/cloud/vmReplicaPoints"
        && let Some(machine) = scene.machine_of(row)
    {
        let night =
            seed::replica_time(machine, machine.replicated_at.unwrap_or(born)).replace(' ', "T") + "Z";
        return night.parse().unwrap_or(born);
    }
    if let Some(parent) = parent(scene, row) {
        return created(scene, &parent)
            .checked_add(SignedDuration::from_millis(
                i64::try_from(number % 90_000).unwrap_or(0),
            ))
            .unwrap_or(born);
    }
    let back = if has_state(row.kind) {
        // What works began lately; what ended did so within the window.
        if works(scene, row) {
            seconds(600 + number % 3_000)
        } else {
            hours(2 + number % (WINDOW_HOURS - 24)) + seconds(number / 7 % 3_600)
        }
    } else {
        hours(24 + number % (400 * 24)) + seconds(number / 11 % 3_600)
    };
    let exact = born.checked_sub(back).unwrap_or(born);
    // Not on a whole second, as nothing ever is.
    exact
        .checked_sub(SignedDuration::from_nanos(
            i64::try_from(number / 3 % 1_000_000_000).unwrap_or(0),
        ))
        .unwrap_or(exact)
}

/// When it ended; nothing while it works.
pub fn ended(scene: Scene<'_>, row: &Row) -> Option<Timestamp> {
    if works(scene, row) {
        return None;
    }
    let long = match parent(scene, row) {
        Some(_) => 20 + hash(&[&row.id, "long"]) % 200,
        None => 300 + hash(&[&row.id, "long"]) % 5_000,
    };
    created(scene, row).checked_add(seconds(long)).ok()
}

impl<'a> Scene<'a> {
    /// The plan's machine that a replica point of the world itself belongs to.
    pub fn machine_of(self, row: &Row) -> Option<&'a crate::sim::inventory::PlanMachine> {
        self.world
            .plans
            .iter()
            .flat_map(|plan| &plan.machines)
            .find(|machine| machine.replica_point == row.key)
    }

    /// Whether a session collection still reaches back to it.
    pub fn in_window(self, row: &Row) -> bool {
        let oldest = self
            .now
            .checked_sub(hours(WINDOW_HOURS))
            .unwrap_or(Timestamp::MIN);
        row.kind.path == "/cloud/failoverSessions" || created(self, row) >= oldest
    }
}
