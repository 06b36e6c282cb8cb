//! What an EM is set up with: backup servers, tenants, machines and plans, as values.

use jiff::Timestamp;
use uuid::Uuid;

/// The plan that the manual and the demo name.
pub const FIRST_PLAN: Uuid = Uuid::from_u128(0x3f56_fa52_c902_4655_9774_2022_fde2_14d2);

/// Which of the two plan kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Cloud,
    OnPremises,
}

/// What can be done with a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Test,
    Start,
    Undo,
}

impl Action {
    /// The action of that name, whatever its letter case.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "test" => Some(Self::Test),
            "start" => Some(Self::Start),
            "undo" => Some(Self::Undo),
            _ => None,
        }
    }
}

/// A backup server that EM manages.
#[derive(Debug, Clone)]
pub struct BackupServer {
    pub id: Uuid,
    pub name: String,
    pub description: String,
}

/// A customer of the service provider.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub id: Uuid,
    pub name: String,
}

/// A machine that a plan fails over.
#[derive(Debug, Clone)]
pub struct PlanMachine {
    pub id: Uuid,
    pub name: String,
    /// Its newest replica point.
    pub replica_point: Uuid,
    /// When it was replicated by order; else in the night before the simulator began.
    pub replicated_at: Option<Timestamp>,
}

/// A script before or after a failover.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    pub enabled: bool,
    pub command: String,
}

/// A failover plan of either kind.
#[derive(Debug, Clone)]
pub struct Plan {
    pub id: Uuid,
    pub kind: Kind,
    pub name: String,
    pub description: String,
    /// Cloud plans only.
    pub tenant: Option<Tenant>,
    /// Index of the backup server.
    pub server: usize,
    pub machines: Vec<PlanMachine>,
    pub before: Command,
    pub after: Command,
    /// Work without a session (undo, on-premises failovers) keeps the plan busy until then.
    pub busy_until: Option<Timestamp>,
    /// From then on the plan is gone.
    pub deleted_at: Option<Timestamp>,
}
