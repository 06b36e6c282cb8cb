//! Objectives of plans as JSON (docs/behaviour.md#objectives), in both directions. Unknown members are refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::evidence::objectives::{
    MachineObjectives as DomainMachine, Objectives as DomainObjectives,
};

/// The most machines that have targets of their own.
const MACHINES: usize = 10_000;

/// What is wanted of a plan's recovery.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Objectives {
    /// The most seconds that a recovery may take (RTO).
    #[schema(required)]
    pub rto_seconds: Option<u32>,
    /// The most seconds of data that a recovery may lose (RPO).
    #[schema(required)]
    pub rpo_seconds: Option<u32>,
    /// The most days between two tests.
    #[schema(required)]
    pub test_every_days: Option<u32>,
    /// Who answers for the plan.
    #[schema(required)]
    pub owner: Option<String>,
    /// How critical it is.
    #[schema(required)]
    pub criticality: Option<String>,
    /// Where the business impact analysis is.
    #[schema(required)]
    pub bia_reference: Option<String>,
    /// Targets of single machines, by exact name; the plan's count where one is null.
    pub per_machine: BTreeMap<String, MachineObjectives>,
}

/// What is wanted of one machine's recovery.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineObjectives {
    /// The most seconds that its recovery may take.
    #[schema(required)]
    pub rto_seconds: Option<u32>,
    /// The most seconds of data that it may lose.
    #[schema(required)]
    pub rpo_seconds: Option<u32>,
}

impl From<&DomainObjectives> for Objectives {
    fn from(objectives: &DomainObjectives) -> Self {
        let machine = |(name, own): (&String, &DomainMachine)| {
            let own = MachineObjectives {
                rto_seconds: own.rto_seconds,
                rpo_seconds: own.rpo_seconds,
            };
            (name.clone(), own)
        };
        Self {
            rto_seconds: objectives.rto_seconds,
            rpo_seconds: objectives.rpo_seconds,
            test_every_days: objectives.test_every_days,
            owner: objectives.owner.clone(),
            criticality: objectives.criticality.clone(),
            bia_reference: objectives.bia_reference.clone(),
            per_machine: objectives.per_machine.iter().map(machine).collect(),
        }
    }
}

/// The objectives that a plan is to have, whole: what is absent or null comes from the configuration, or is not wanted.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "rtoSeconds": 3600,
    "rpoSeconds": 86400,
    "testEveryDays": 365,
    "owner": "Disaster recovery team",
    "criticality": "high",
    "biaReference": "BIA-2026",
    "perMachine": {"filesrv03": {"rtoSeconds": 600}},
}))]
pub struct ObjectivesInput {
    /// The most seconds that a recovery may take (RTO), from 1 second to 10 years.
    pub rto_seconds: Option<Seconds>,
    /// The most seconds of data that a recovery may lose (RPO), from 1 second to 10 years.
    pub rpo_seconds: Option<Seconds>,
    /// The most days between two tests, 1 to 3650.
    pub test_every_days: Option<Days>,
    /// Who answers for the plan: 1 to 500 characters.
    pub owner: Option<Words>,
    /// How critical it is: 1 to 500 characters.
    pub criticality: Option<Words>,
    /// Where the business impact analysis is: 1 to 500 characters.
    pub bia_reference: Option<Words>,
    /// Targets of single machines, by exact name; at most 10,000.
    pub per_machine: Option<PerMachine>,
}

/// The objectives that a machine is to have.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineObjectivesInput {
    /// The most seconds that its recovery may take, from 1 second to 10 years.
    pub rto_seconds: Option<Seconds>,
    /// The most seconds of data that it may lose, from 1 second to 10 years.
    pub rpo_seconds: Option<Seconds>,
}

/// Seconds of a target.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "i128")]
#[schema(minimum = 1, maximum = 315_360_000)]
pub struct Seconds(u32);

impl TryFrom<i128> for Seconds {
    type Error = &'static str;

    fn try_from(seconds: i128) -> Result<Self, &'static str> {
        within(seconds, 315_360_000)
            .map(Self)
            .ok_or("must be a whole number from 1 to 315360000 (10 years)")
    }
}

/// Days of a period.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "i128")]
#[schema(minimum = 1, maximum = 3650)]
pub struct Days(u32);

impl TryFrom<i128> for Days {
    type Error = &'static str;

    fn try_from(days: i128) -> Result<Self, &'static str> {
        within(days, 3650)
            .map(Self)
            .ok_or("must be a whole number from 1 to 3650")
    }
}

/// The number, if it is from 1 to `most`.
fn within(number: i128, most: u32) -> Option<u32> {
    u32::try_from(number)
        .ok()
        .filter(|number| (1..=most).contains(number))
}

/// A line of text for reports: 1 to 500 characters.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(min_length = 1, max_length = 500, pattern = "^[^\\u0000]*$")]
pub struct Words(String);

impl Words {
    /// The text.
    #[must_use]
    pub fn into_inner(self) -> String {
        self.0
    }
}

impl TryFrom<String> for Words {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.is_empty() || text.chars().count() > 500 {
            Err("must be 1 to 500 characters")
        } else if text.contains('\0') {
            Err("must not contain U+0000")
        } else {
            Ok(Self(text))
        }
    }
}

/// Targets by the machine's name.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "BTreeMap<String, MachineObjectivesInput>")]
pub struct PerMachine(BTreeMap<String, MachineObjectivesInput>);

impl TryFrom<BTreeMap<String, MachineObjectivesInput>> for PerMachine {
    type Error = &'static str;

    fn try_from(machines: BTreeMap<String, MachineObjectivesInput>) -> Result<Self, &'static str> {
        if machines.len() > MACHINES {
            Err("has more than 10000 machines")
        } else if machines.keys().any(|name| name.contains('\0')) {
            Err("names a machine with U+0000")
        } else {
            Ok(Self(machines))
        }
    }
}

impl From<ObjectivesInput> for DomainObjectives {
    fn from(input: ObjectivesInput) -> Self {
        let seconds = |target: Option<Seconds>| target.map(|target| target.0);
        let machines = input.per_machine.unwrap_or_default().0.into_iter();
        let machine = |(name, own): (String, MachineObjectivesInput)| {
            let own = DomainMachine {
                rto_seconds: seconds(own.rto_seconds),
                rpo_seconds: seconds(own.rpo_seconds),
            };
            (name, own)
        };
        Self {
            rto_seconds: seconds(input.rto_seconds),
            rpo_seconds: seconds(input.rpo_seconds),
            test_every_days: input.test_every_days.map(|days| days.0),
            owner: input.owner.map(Words::into_inner),
            criticality: input.criticality.map(Words::into_inner),
            bia_reference: input.bia_reference.map(Words::into_inner),
            per_machine: machines.map(machine).collect(),
        }
    }
}
