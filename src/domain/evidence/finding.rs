//! What the gateway itself finds in a failover, as a table: each has a severity and says what it means.

use super::measure::Absence;
use crate::domain::words::words;

words! {
    /// How bad a finding is.
    pub enum Severity {
        /// To know.
        Info = "info",
        /// To look into.
        Warning = "warning",
        /// A failure.
        Error = "error",
    }
}

words! {
    /// What was found.
    pub enum FindingCode {
        /// A machine failed.
        MachineFailed = "machineFailed",
        /// A machine of the plan is not in the session.
        MachineMissing = "machineMissing",
        /// A machine recovered with a warning.
        MachineWarning = "machineWarning",
        /// A machine of the session is not in the plan.
        NotInPlan = "notInPlan",
        /// Several machines have one name, so that their times cannot be told apart.
        AmbiguousName = "ambiguousName",
        /// The restore point is newer than the bound that was given: Enterprise Manager used a later one.
        PointAfterBound = "pointAfterBound",
        /// The restore point was removed before it could be read.
        PointGone = "pointGone",
        /// The recovery took longer than its target.
        RtoMissed = "rtoMissed",
        /// More data was lost than the target allows.
        RpoMissed = "rpoMissed",
        /// There is a target for the recovery time, and it could not be measured.
        RtoNotMeasured = "rtoNotMeasured",
        /// There is a target for the data loss, and it could not be measured.
        RpoNotMeasured = "rpoNotMeasured",
        /// A machine began before one that comes earlier in the plan's order.
        StartOrder = "startOrder",
        /// Enterprise Manager no longer knows the session, and it had not ended.
        SessionLost = "sessionLost",
        /// The failover ended without the result that it went well.
        NotSuccessful = "notSuccessful",
        /// Enterprise Manager shows no machines for such a plan, so that none was measured.
        MachinesNotObserved = "machinesNotObserved",
        /// A check that was recorded failed.
        CheckFailed = "checkFailed",
        /// There is a target for a machine that neither the plan nor the session has.
        TargetWithoutMachine = "targetWithoutMachine",
        /// The plan at the time of the failover is not known; its machines are those of the session.
        PlanUnknown = "planUnknown",
    }
}

impl FindingCode {
    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::MachineFailed
            | Self::MachineMissing
            | Self::PointAfterBound
            | Self::RtoMissed
            | Self::RpoMissed
            | Self::SessionLost
            | Self::CheckFailed
            | Self::NotSuccessful => Severity::Error,
            Self::MachineWarning
            | Self::NotInPlan
            | Self::AmbiguousName
            | Self::PointGone
            | Self::RtoNotMeasured
            | Self::RpoNotMeasured
            | Self::TargetWithoutMachine => Severity::Warning,
            Self::StartOrder | Self::MachinesNotObserved | Self::PlanUnknown => Severity::Info,
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub code: FindingCode,
    /// The machine concerned.
    pub machine: Option<String>,
    /// What more there is to say, such as Enterprise Manager's message.
    pub detail: Option<String>,
    /// Why a figure is absent, where that is the finding.
    pub reason: Option<Absence>,
}

impl Finding {
    /// A finding about the plan.
    #[must_use]
    pub const fn of_plan(code: FindingCode) -> Self {
        Self {
            code,
            machine: None,
            detail: None,
            reason: None,
        }
    }

    /// A finding about a machine.
    #[must_use]
    pub fn of_machine(code: FindingCode, name: &str, detail: Option<String>) -> Self {
        Self {
            machine: Some(name.to_owned()),
            detail,
            ..Self::of_plan(code)
        }
    }
}
