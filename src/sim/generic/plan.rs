//! How many items each kind has, and which belong together.
//!
//! The catalogue knows which resources exist; it does not say that a restore point belongs to a backup of its
//! job. This table does. Kinds that it leaves out have a few things that belong to a backup server.

/// What is said of one kind of things, named by the path of its collection.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub path: &'static str,
    /// How many; below an owner (`/jobs/{ID}/includes`) the most of one owner.
    pub count: usize,
    /// It belongs to one thing of one of these kinds.
    pub under: &'static [&'static str],
    /// It also has to do with one thing of each of these kinds, on the same backup server.
    pub beside: &'static [&'static str],
}

/// The kind above all others.
pub const SERVERS: &str = "/backupServers";

const fn plan(
    path: &'static str,
    count: usize,
    under: &'static [&'static str],
    beside: &'static [&'static str],
) -> Plan {
    Plan {
        path,
        count,
        under,
        beside,
    }
}

/// What holds for a kind that the table leaves out.
pub const DEFAULT: Plan = plan("", 3, &[SERVERS], &[]);

/// The table; the more than a hundred sessions and points make `/query` turn pages.
pub const PLANS: &[Plan] = &[
    plan(SERVERS, 0, &[], &[]),
    plan("/managedServers", 7, &[SERVERS], &[]),
    plan("/hierarchyRoots", 4, &["/managedServers"], &[]),
    plan("/repositories", 6, &[SERVERS], &[]),
    plan("/backupServers/{ID}/credentials", 4, &[], &[]),
    plan("/jobs", 14, &[SERVERS], &["/repositories"]),
    plan("/jobs/{ID}/includes", 4, &[], &[]),
    plan("/agents/jobs", 4, &[SERVERS], &["/repositories"]),
    plan("/nas/jobs", 3, &[SERVERS], &["/repositories"]),
    plan("/nas/fileServers", 4, &[SERVERS], &["/repositories"]),
    plan(
        "/backups",
        16,
        &["/jobs", "/agents/jobs"],
        &["/repositories", "/externalRepositories"],
    ),
    plan("/backupFiles", 48, &["/backups"], &[]),
    plan("/restorePoints", 48, &["/backupFiles"], &[]),
    plan("/vmRestorePoints", 150, &["/restorePoints"], &[]),
    plan("/vAppRestorePoints", 12, &["/restorePoints"], &[]),
    plan("/agents/agentRestorePoints", 20, &["/restorePoints"], &[]),
    plan("/agents/protectionGroups", 3, &[SERVERS], &[]),
    plan(
        "/agents/discoveredComputers",
        9,
        &["/agents/protectionGroups"],
        &[],
    ),
    plan("/catalog/vms", 9, &[], &[]),
    plan("/catalog/vms/{vmname}/vmRestorePoints", 5, &[], &[]),
    plan("/replicas", 8, &["/jobs"], &["/repositories"]),
    plan("/vmReplicaPoints", 40, &["/replicas"], &[]),
    plan("/vAppReplicaPoints", 6, &["/replicas"], &[]),
    plan(
        "/backupSessions",
        140,
        &["/jobs", "/agents/jobs", "/nas/jobs"],
        &["/restorePoints"],
    ),
    plan(
        "/backupTaskSessions",
        180,
        &["/backupSessions"],
        &["/vmRestorePoints"],
    ),
    plan("/replicaSessions", 30, &["/jobs"], &[]),
    plan("/replicaTaskSessions", 45, &["/replicaSessions"], &[]),
    plan("/restoreSessions", 12, &[SERVERS], &["/vmRestorePoints"]),
    plan("/systemSessions", 25, &[], &[]),
    plan("/cdpPolicies", 4, &[SERVERS], &[]),
    plan("/cdpReplicas", 5, &["/cdpPolicies"], &[]),
    plan("/cdpReplicas/{ID}/vms", 4, &[], &[]),
    plan("/cdpReplica/vApps", 3, &["/cdpPolicies"], &["/cdpReplicas"]),
    plan("/cdpReplicaSessions", 16, &["/cdpPolicies"], &[]),
    plan("/cdpReplicaTaskSessions", 30, &["/cdpReplicaSessions"], &[]),
    plan("/cloud/cloudFailoverPlans", 0, &[SERVERS], &[]),
    plan("/cloud/failoverSessions", 0, &[SERVERS], &[]),
    plan("/failoverPlans", 0, &[SERVERS], &[]),
    plan("/cloud/gateways", 5, &["/cloud/gatewayPools"], &[]),
    plan(
        "/cloud/tenants",
        3,
        &[SERVERS],
        &["/cloud/hardwarePlans", "/cloud/gatewayPools"],
    ),
    plan("/cloud/tenants/{ID}/subtenants", 3, &[], &[]),
    plan("/cloud/publicIpAddresses", 6, &["/cloud/tenants"], &[]),
    plan("/cloud/replicas", 6, &["/cloud/tenants"], &[]),
    plan("/cloud/vmReplicaPoints", 12, &["/cloud/replicas"], &[]),
    plan("/security/accounts", 5, &[], &[]),
    plan("/security/roles", 4, &[], &[]),
    plan("/selfService/vSphere/Configs", 3, &[SERVERS], &["/repositories"]),
    plan("/vCloud/orgConfigs", 3, &[SERVERS], &["/repositories"]),
];

/// The kind that the prefix of a field's name means (`JobUid`, `RepositoryName`); the first that a thing has to do
/// with counts.
pub const MEANINGS: &[(&str, &[&str])] = &[
    ("BackupServer", &[SERVERS]),
    ("Repository", &["/repositories"]),
    ("BackupRepository", &["/repositories"]),
    ("LinkedBackupRepository", &["/repositories"]),
    ("CacheRepository", &["/repositories"]),
    ("Job", &["/jobs", "/agents/jobs", "/nas/jobs"]),
    ("LinkedJob", &["/jobs"]),
    ("PreviousJob", &["/jobs"]),
    ("TemplateJob", &["/jobs"]),
    ("LinkedBackup", &["/backups"]),
    ("Backup", &["/backups"]),
    ("BackupFile", &["/backupFiles"]),
    ("RestorePoint", &["/restorePoints"]),
    ("JobSession", &["/backupSessions", "/replicaSessions"]),
    ("Replica", &["/replicas", "/cdpReplicas", "/cloud/replicas"]),
    ("Policy", &["/cdpPolicies"]),
    ("PolicySession", &["/cdpReplicaSessions"]),
    ("Tenant", &["/cloud/tenants"]),
    ("CloudTenant", &["/cloud/tenants"]),
    ("CloudHardwarePlan", &["/cloud/hardwarePlans"]),
    ("CloudGateway", &["/cloud/gateways"]),
    ("CloudGatewayPool", &["/cloud/gatewayPools"]),
    ("WanAccelerator", &["/wanAccelerators"]),
    ("ProtectionGroup", &["/agents/protectionGroups"]),
    ("FileServer", &["/nas/fileServers"]),
    ("Server", &["/managedServers"]),
    ("Host", &["/managedServers"]),
    ("HierarchyRoot", &["/hierarchyRoots"]),
    ("VCenter", &["/hierarchyRoots"]),
    ("EnterpriseRole", &["/security/roles"]),
    ("Role", &["/security/roles"]),
];
