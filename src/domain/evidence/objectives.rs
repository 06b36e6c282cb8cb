//! What is wanted of a plan's recovery: targets for the plan and for single machines, how often it is to be tested, who
//! answers for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The objectives of a plan. What is absent is not wanted, or comes from the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Objectives {
    /// The most seconds that a recovery may take.
    pub rto_seconds: Option<u32>,
    /// The most seconds of data that a recovery may lose.
    pub rpo_seconds: Option<u32>,
    /// The most days between two tests.
    pub test_every_days: Option<u32>,
    /// Who answers for the plan.
    pub owner: Option<String>,
    /// How critical it is, in the operator's own words.
    pub criticality: Option<String>,
    /// Where the business impact analysis is.
    pub bia_reference: Option<String>,
    /// Targets of single machines, by exact name.
    pub per_machine: BTreeMap<String, MachineObjectives>,
}

/// The objectives of one machine; the plan's count where one is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MachineObjectives {
    /// The most seconds that its recovery may take.
    pub rto_seconds: Option<u32>,
    /// The most seconds of data that it may lose.
    pub rpo_seconds: Option<u32>,
}

impl Objectives {
    /// These, with those of the configuration where one is absent.
    #[must_use]
    pub fn or(&self, defaults: &Self) -> Self {
        let text = |own: &Option<String>, default: &Option<String>| own.clone().or_else(|| default.clone());
        Self {
            rto_seconds: self.rto_seconds.or(defaults.rto_seconds),
            rpo_seconds: self.rpo_seconds.or(defaults.rpo_seconds),
            test_every_days: self.test_every_days.or(defaults.test_every_days),
            owner: text(&self.owner, &defaults.owner),
            criticality: text(&self.criticality, &defaults.criticality),
            bia_reference: text(&self.bia_reference, &defaults.bia_reference),
            per_machine: self.per_machine.clone(),
        }
    }

    /// The targets of the machine of that name: recovery time and data loss, in seconds.
    #[must_use]
    pub fn of_machine(&self, name: &str) -> (Option<u32>, Option<u32>) {
        let own = self.per_machine.get(name).copied().unwrap_or_default();
        (
            own.rto_seconds.or(self.rto_seconds),
            own.rpo_seconds.or(self.rpo_seconds),
        )
    }
}
