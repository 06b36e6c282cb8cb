//! The title of a message: its result, plan and tenant, with the tone that the result has.

use super::body::{Data, Session};
use super::machines::machine;
use super::tone::Tone;
use crate::domain::event::EventType;
use crate::text::counted;
use crate::webhooks::formats::text::clean;

/// The longest name of a plan and of a tenant in the title, which is never cut itself.
const IN_TITLE: (usize, usize) = (60, 30);

/// Tone and first word.
pub(super) fn headline(kind: EventType, data: &Data) -> (Tone, String) {
    let of_session = || {
        data.session
            .as_ref()
            .and_then(|session| session.result.as_deref())
    };
    let of_operation = || {
        data.operation
            .as_ref()
            .and_then(|operation| operation.result.as_deref())
    };
    let plain = |tone, word: &str| (tone, word.to_owned());
    let ended = |result| {
        let (word, tone) = verdict(result);
        (tone, word)
    };
    match kind {
        // Its end is the event after this one.
        EventType::SessionStarted if data.session.as_ref().is_some_and(Session::has_ended) => {
            plain(Tone::Info, "Already ended")
        }
        EventType::SessionStarted => plain(Tone::Info, "Started"),
        EventType::SessionProgressed => match data.session.as_ref().and_then(|session| session.progress) {
            Some(progress) => (Tone::Info, format!("{progress} %")),
            None => plain(Tone::Info, "Running"),
        },
        EventType::MachineFinished => match machine(data).and_then(|machine| machine.result.as_deref()) {
            None => plain(Tone::Info, "Machine ended"),
            result => ended(result),
        },
        EventType::SessionFinished => ended(of_session()),
        EventType::SessionLost => plain(Tone::Bad, "LOST"),
        EventType::OperationFinished => {
            let unknown = data
                .operation
                .as_ref()
                .is_some_and(|operation| operation.state.as_deref() == Some("unknown"));
            if unknown {
                plain(Tone::Bad, "UNKNOWN")
            } else {
                ended(of_operation())
            }
        }
        EventType::ApprovalRequested => plain(Tone::Waiting, "Waits for approval"),
        EventType::ApprovalDecided => {
            match data
                .decision
                .as_ref()
                .and_then(|decision| decision.outcome.as_deref())
            {
                Some("approved") => plain(Tone::Good, "Approved"),
                Some("rejected") => plain(Tone::Warning, "Rejected"),
                Some("expired") => plain(Tone::Warning, "Approval expired"),
                Some("cancelled") => plain(Tone::Warning, "Cancelled"),
                Some("planChanged") => plain(Tone::Warning, "Plan changed"),
                _ => plain(Tone::Info, "Approval decided"),
            }
        }
        EventType::ReportReady => match data.report.as_ref().and_then(|report| report.verdict.as_deref()) {
            Some("passed") => plain(Tone::Good, "Report, passed"),
            Some("failed") => plain(Tone::Bad, "Report, FAILED"),
            Some("notMeasured") => plain(Tone::Warning, "Report, not measured"),
            _ => plain(Tone::Info, "Report"),
        },
        EventType::TestOverdue => plain(Tone::Warning, "Test overdue"),
        EventType::TestSkipped => plain(Tone::Warning, "Test skipped"),
        EventType::AuditCheckpoint => plain(Tone::Info, "Audit log"),
        EventType::EndpointFailing => plain(Tone::Warning, "Failing"),
        EventType::EndpointRecovered | EventType::UpstreamRecovered => plain(Tone::Good, "Recovered"),
        EventType::EndpointDisabled => plain(Tone::Bad, "DISABLED"),
        EventType::UpstreamUnavailable => plain(Tone::Bad, "UNAVAILABLE"),
        EventType::WebhookTest => plain(Tone::Info, "This is a test"),
    }
}

/// The result in a title, and its tone.
fn verdict(result: Option<&str>) -> (String, Tone) {
    match result {
        Some("success") => ("Success".to_owned(), Tone::Good),
        Some("warning") => ("WARNING".to_owned(), Tone::Warning),
        Some("failed") => ("FAILED".to_owned(), Tone::Bad),
        Some("cancelled") => ("Cancelled".to_owned(), Tone::Warning),
        Some(other) => (clean(other, 12), Tone::Warning),
        None => ("Ended".to_owned(), Tone::Warning),
    }
}

/// `Test of`, `Start of`: what was asked for.
fn action(data: &Data) -> &'static str {
    let word = data
        .session
        .as_ref()
        .and_then(|session| session.action.as_deref())
        .or_else(|| data.operation.as_ref()?.action.as_deref());
    match word {
        Some("test") => "test of ",
        Some("start") => "failover of ",
        Some("undo") => "undo of ",
        Some("update") => "change of ",
        Some("delete") => "removal of ",
        Some(_) | None => "",
    }
}

/// The whole title.
pub(super) fn title(
    kind: EventType,
    word: &str,
    data: &Data,
    plan: Option<&str>,
    tenant: Option<&str>,
    failed: usize,
) -> String {
    let of_plan = || {
        let plan = plan.map_or_else(|| "a failover plan".to_owned(), |name| clean(name, IN_TITLE.0));
        let tenant = tenant.map_or_else(String::new, |name| format!(" ({})", clean(name, IN_TITLE.1)));
        format!("{}{plan}{tenant}", action(data))
    };
    match kind {
        EventType::MachineFinished => {
            let name = data
                .virtual_machine
                .as_deref()
                .or_else(|| Some(&machine(data)?.name));
            let name = name.map_or_else(|| "a machine".to_owned(), |name| clean(name, 40));
            let plan = plan.map_or_else(String::new, |plan| format!(" of {}", clean(plan, IN_TITLE.0)));
            format!("{word}: {name}{plan}")
        }
        EventType::SessionFinished if failed > 0 => {
            let total = data
                .session
                .as_ref()
                .map_or(0, |session| session.virtual_machines.len());
            format!("{word}: {}, {failed} of {}", of_plan(), counted(total, "machine"))
        }
        EventType::EndpointFailing | EventType::EndpointRecovered | EventType::EndpointDisabled => {
            let endpoint = data.endpoint.as_ref();
            let name = endpoint.and_then(|endpoint| endpoint.description.as_ref().or(endpoint.id.as_ref()));
            let name = name.map_or_else(String::new, |name| format!(" {}", clean(name, IN_TITLE.0)));
            format!("{word}: webhook endpoint{name}")
        }
        EventType::UpstreamUnavailable | EventType::UpstreamRecovered => {
            format!("{word}: Enterprise Manager")
        }
        EventType::AuditCheckpoint => {
            let row = data
                .row
                .map_or_else(String::new, |row| format!(" with row {row}"));
            format!("{word}: ends{row}")
        }
        EventType::WebhookTest => format!("{word}; news of a failover looks like this"),
        _ => format!("{word}: {}", of_plan()),
    }
}
