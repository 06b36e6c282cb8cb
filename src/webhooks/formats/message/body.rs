//! What messages read of an event's stored body. Every member is optional: an event of an earlier or later version still
//! makes a message.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    pub(super) timestamp: Option<String>,
    pub(super) data: Data,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Data {
    pub(super) session: Option<Session>,
    pub(super) operation: Option<Operation>,
    pub(super) virtual_machine: Option<String>,
    pub(super) machines: Option<Counts>,
    pub(super) decision: Option<Decision>,
    pub(super) objectives: Option<Objectives>,
    pub(super) report: Option<Report>,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) account: Option<String>,
    pub(super) since: Option<String>,
    pub(super) reason: Option<String>,
    /// Of events about a plan alone.
    pub(super) plan: Option<Plan>,
    pub(super) detail: Option<String>,
    pub(super) due_at: Option<String>,
    pub(super) next_at: Option<String>,
    pub(super) last_test_at: Option<String>,
    pub(super) owner: Option<String>,
    /// Of a checkpoint; the events of a session have a number of that name, of another meaning.
    #[serde(rename = "sequence")]
    pub(super) row: Option<i64>,
    pub(super) hash: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Session {
    pub(super) id: Option<String>,
    pub(super) plan_name: Option<String>,
    pub(super) tenant: Option<Named>,
    pub(super) backup_server: Option<Named>,
    pub(super) state: Option<String>,
    pub(super) result: Option<String>,
    pub(super) progress: Option<i64>,
    pub(super) started_at: Option<String>,
    pub(super) ended_at: Option<String>,
    pub(super) failure_message: Option<String>,
    pub(super) virtual_machines: Vec<Machine>,
    pub(super) action: Option<String>,
}

impl Session {
    /// Whether it was over when the event was written.
    pub(super) fn has_ended(&self) -> bool {
        self.state.as_deref() == Some("stopped")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Named {
    pub(super) name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) state: Option<String>,
    pub(super) result: Option<String>,
    pub(super) started_at: Option<String>,
    pub(super) ended_at: Option<String>,
    pub(super) failure_message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) ended: u64,
    pub(super) failed: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Operation {
    pub(super) id: Option<String>,
    pub(super) action: Option<String>,
    pub(super) state: Option<String>,
    pub(super) result: Option<String>,
    pub(super) plan: Option<Plan>,
    pub(super) failure: Option<Failure>,
    pub(super) requested_by: Option<String>,
    pub(super) requested_at: Option<String>,
    pub(super) finished_at: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) approval: Option<Approval>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Plan {
    pub(super) kind: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) tenant: Option<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Failure {
    pub(super) message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Approval {
    pub(super) required: u64,
    pub(super) given: Vec<serde::de::IgnoredAny>,
    pub(super) expires_at: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Decision {
    pub(super) outcome: Option<String>,
    pub(super) by: Option<String>,
    pub(super) comment: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Objectives {
    pub(super) rto_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    pub(super) verdict: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Endpoint {
    pub(super) id: Option<String>,
    pub(super) description: Option<String>,
    pub(super) reason: Option<String>,
}

/// What a test shows: how a message about a failover looks.
pub(super) fn sample() -> Data {
    let machine = |name: &str, result: &str, reason: Option<&str>| Machine {
        name: name.to_owned(),
        state: Some("stopped".to_owned()),
        result: Some(result.to_owned()),
        failure_message: reason.map(ToOwned::to_owned),
        ..Machine::default()
    };
    Data {
        session: Some(Session {
            plan_name: Some("Example plan".to_owned()),
            tenant: Some(Named {
                name: Some("Example tenant".to_owned()),
            }),
            result: Some("warning".to_owned()),
            started_at: Some("2026-01-01T00:00:00Z".to_owned()),
            ended_at: Some("2026-01-01T00:12:05Z".to_owned()),
            virtual_machines: vec![
                machine("example-web", "success", None),
                machine("example-db", "failed", Some("an example of a reason")),
            ],
            action: Some("test".to_owned()),
            ..Session::default()
        }),
        ..Data::default()
    }
}
