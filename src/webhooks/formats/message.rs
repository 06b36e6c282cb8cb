//! A message: what a person wants to know of an event, result first, out of the event's stored body. Pure; how it looks is
//! each service's own file.
//!
//! Every member of a body is optional here: an event of an earlier or later version still makes a message.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::pages::{About, Pages};
use super::text::clean;
use crate::domain::event::EventType;
use crate::domain::links::Links;

/// The longest value of a fact, in UTF-16 units.
const VALUE: usize = 120;
/// The longest name of a machine.
pub(super) const NAME: usize = 80;
/// The longest name of a plan and of a tenant in the title, which is never cut itself.
const IN_TITLE: (usize, usize) = (60, 30);
/// The longest id.
const ID: usize = 200;
/// The longest reason that is kept.
const REASON: usize = 1000;

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// It succeeded.
    Good,
    /// It goes on.
    Info,
    /// Somebody has to decide.
    Waiting,
    /// It ended, not quite well.
    Warning,
    /// It failed.
    Bad,
}

impl Tone {
    /// The sign before the title.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✅",
            Self::Info => "🔵",
            Self::Waiting => "⏳",
            Self::Warning => "⚠️",
            Self::Bad => "❌",
        }
    }

    /// The colour, as red, green and blue.
    pub(super) const fn rgb(self) -> u32 {
        match self {
            Self::Good => 0x0010_7c10,
            Self::Info => 0x0000_78d4,
            Self::Waiting => 0x0087_64b8,
            Self::Warning => 0x00ca_5010,
            Self::Bad => 0x00d1_3438,
        }
    }
}

/// What an alerting service makes of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alert {
    /// What joins the events of one matter: the session, the operation, the endpoint, the account.
    pub(super) key: String,
    /// Whether the matter is settled with it.
    pub(super) resolved: bool,
}

/// A machine that did not succeed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FailedMachine {
    pub(super) name: String,
    pub(super) reason: Option<String>,
}

/// A message, of text that is cleaned and not yet escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// The event's type.
    pub(super) kind: EventType,
    /// How good the news is.
    pub(super) tone: Tone,
    /// Result, plan and tenant in a line of at most 150 UTF-16 units.
    pub(super) title: String,
    /// Label and value, most important first; 8 at most.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Why it failed, in EM's or a person's words.
    pub(super) reason: Option<String>,
    /// Machines that failed.
    pub(super) failed: Vec<FailedMachine>,
    /// Machines that succeeded.
    pub(super) good: Vec<String>,
    /// Where to look.
    pub(super) pages: Pages,
    /// The failover that it belongs to: its session, or else its operation.
    pub(super) failover: Option<String>,
    /// The session alone.
    pub(super) session: Option<String>,
    /// The plan's name, as far as it is about one.
    pub(super) plan: Option<String>,
    /// The backup server, as far as it is about one.
    pub(super) server: Option<String>,
    /// When it was seen, RFC 3339.
    pub(super) at: String,
    /// For alerting.
    pub(super) alert: Alert,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    timestamp: Option<String>,
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Data {
    session: Option<Session>,
    operation: Option<Operation>,
    virtual_machine: Option<String>,
    machines: Option<Counts>,
    decision: Option<Decision>,
    endpoint: Option<Endpoint>,
    account: Option<String>,
    since: Option<String>,
    reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Session {
    id: Option<String>,
    plan_name: Option<String>,
    tenant: Option<Named>,
    backup_server: Option<Named>,
    result: Option<String>,
    progress: Option<i64>,
    started_at: Option<String>,
    ended_at: Option<String>,
    failure_message: Option<String>,
    virtual_machines: Vec<Machine>,
    action: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Machine {
    name: String,
    state: Option<String>,
    result: Option<String>,
    failure_message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Counts {
    total: u64,
    ended: u64,
    failed: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Operation {
    id: Option<String>,
    action: Option<String>,
    state: Option<String>,
    result: Option<String>,
    plan: Option<Plan>,
    failure: Option<Failure>,
    requested_by: Option<String>,
    requested_at: Option<String>,
    finished_at: Option<String>,
    reason: Option<String>,
    approval: Option<Approval>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Plan {
    name: Option<String>,
    tenant: Option<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Failure {
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Approval {
    required: u64,
    given: Vec<serde::de::IgnoredAny>,
    expires_at: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Decision {
    outcome: Option<String>,
    by: Option<String>,
    comment: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    id: Option<String>,
    description: Option<String>,
    reason: Option<String>,
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

/// A length of time for people: the two largest units.
fn for_people(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest} s"),
        (0, _) => format!("{minutes} min {rest} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// How long it took, against what is allowed where an objective says so.
fn duration(from: Option<&str>, to: Option<&str>, objective: Option<Duration>) -> Option<String> {
    let moment = |text: &str| text.parse::<Timestamp>().ok();
    let took = moment(to?)?.duration_since(moment(from?)?);
    let took = for_people(Duration::try_from(took).ok()?);
    Some(match objective {
        Some(allowed) => format!("{took} of {} allowed", for_people(allowed)),
        None => took,
    })
}

/// A moment for people: to the minute, UTC.
fn minute(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => clean(text, 40),
    }
}

/// `singular` or its plural, with the number.
fn counted(number: usize) -> String {
    format!("{number} machine{}", if number == 1 { "" } else { "s" })
}

impl Message {
    /// What people want to know of an event with this stored body.
    pub(super) fn of(kind: EventType, id: &str, body: &str, links: &Links) -> Self {
        let body: Body = serde_json::from_str(body).unwrap_or_default();
        let at = body.timestamp.unwrap_or_default();
        let data = if kind == EventType::WebhookTest {
            sample()
        } else {
            body.data
        };
        let (tone, word) = headline(kind, &data);
        let (session, operation) = (data.session.as_ref(), data.operation.as_ref());
        let session_id = session.and_then(|session| session.id.clone());
        let operation_id = operation.and_then(|operation| operation.id.clone());
        let plan = session
            .and_then(|session| session.plan_name.as_deref())
            .or_else(|| operation?.plan.as_ref()?.name.as_deref());
        let tenant = session
            .and_then(|session| session.tenant.as_ref()?.name.as_deref())
            .or_else(|| operation?.plan.as_ref()?.tenant.as_ref()?.name.as_deref());
        let ended = matches!(kind, EventType::SessionFinished | EventType::OperationFinished);
        let sample = kind == EventType::WebhookTest;
        let pages = Pages::of(
            links,
            About {
                operation: operation_id.as_deref(),
                session: session_id.as_deref(),
                ended,
                waits: kind == EventType::ApprovalRequested,
            },
        );
        let (failed, good) = machines(kind, &data);
        Self {
            kind,
            tone,
            title: title(kind, &word, &data, plan, tenant, failed.len()),
            facts: facts(kind, &data, plan, tenant, (failed.len(), good.len())),
            reason: reason(kind, &data),
            failed,
            good,
            pages: if sample { Pages::default() } else { pages },
            failover: session_id
                .as_deref()
                .or(operation_id.as_deref())
                .filter(|_| !sample)
                .map(|id| clean(id, ID)),
            alert: alert(kind, id, &data, session_id.as_deref(), operation_id.as_deref()),
            session: session_id.filter(|_| !sample).map(|id| clean(&id, ID)),
            plan: plan.map(|name| clean(name, NAME)),
            server: session
                .and_then(|session| session.backup_server.as_ref()?.name.as_deref())
                .map(|name| clean(name, NAME)),
            at,
        }
    }
}

/// What a test shows: how a message about a failover looks.
fn sample() -> Data {
    let machine = |name: &str, result: &str, reason: Option<&str>| Machine {
        name: name.to_owned(),
        state: Some("stopped".to_owned()),
        result: Some(result.to_owned()),
        failure_message: reason.map(ToOwned::to_owned),
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

fn headline(kind: EventType, data: &Data) -> (Tone, String) {
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
        EventType::EndpointFailing => plain(Tone::Warning, "Failing"),
        EventType::EndpointRecovered | EventType::UpstreamRecovered => plain(Tone::Good, "Recovered"),
        EventType::EndpointDisabled => plain(Tone::Bad, "DISABLED"),
        EventType::UpstreamUnavailable => plain(Tone::Bad, "UNAVAILABLE"),
        EventType::WebhookTest => plain(Tone::Info, "This is a test"),
    }
}

/// The machine that an event about a machine is about.
fn machine(data: &Data) -> Option<&Machine> {
    let session = data.session.as_ref()?;
    match &data.virtual_machine {
        Some(name) => session
            .virtual_machines
            .iter()
            .find(|machine| machine.name == *name),
        None => session.virtual_machines.first(),
    }
}

/// Machines that failed and machines that did not, of those that ended; of an event about one, that one.
fn machines(kind: EventType, data: &Data) -> (Vec<FailedMachine>, Vec<String>) {
    let (mut failed, mut good) = (Vec::new(), Vec::new());
    let of_session = data.session.iter().flat_map(|session| &session.virtual_machines);
    let shown: Vec<&Machine> = match kind {
        EventType::MachineFinished => machine(data).into_iter().collect(),
        _ => of_session.collect(),
    };
    for machine in shown {
        let name = clean(&machine.name, NAME);
        match machine.result.as_deref() {
            Some("success") => good.push(name),
            Some("failed" | "warning") => failed.push(FailedMachine {
                name,
                reason: machine
                    .failure_message
                    .as_deref()
                    .map(|reason| clean(reason, REASON)),
            }),
            Some(_) | None => {}
        }
    }
    (failed, good)
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

fn title(
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
            format!("{word}: {}, {failed} of {}", of_plan(), counted(total))
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
        EventType::WebhookTest => format!("{word}; news of a failover looks like this"),
        _ => format!("{word}: {}", of_plan()),
    }
}

fn facts(
    kind: EventType,
    data: &Data,
    plan: Option<&str>,
    tenant: Option<&str>,
    (failed, good): (usize, usize),
) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut add = |label, value: Option<String>| {
        if let Some(value) = value {
            facts.push((label, clean(&value, VALUE)));
        }
    };
    let (session, operation) = (data.session.as_ref(), data.operation.as_ref());
    let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
    add("Plan", owned(plan));
    add("Tenant", owned(tenant));
    let took = session
        .and_then(|session| duration(session.started_at.as_deref(), session.ended_at.as_deref(), None))
        .or_else(|| {
            let operation = operation.filter(|_| kind == EventType::OperationFinished)?;
            duration(
                operation.requested_at.as_deref(),
                operation.finished_at.as_deref(),
                None,
            )
        });
    add("Duration", took);
    add("Machines", machine_count(kind, data, failed, good));
    if let (EventType::ApprovalRequested, Some(approval)) =
        (kind, operation.and_then(|operation| operation.approval.as_ref()))
    {
        let given = format!("{} of {}", approval.given.len(), approval.required);
        add("Approvals", Some(given));
        add("Until", approval.expires_at.as_deref().map(minute));
    }
    add(
        "Asked by",
        owned(operation.and_then(|operation| operation.requested_by.as_deref())),
    );
    if let Some(decision) = &data.decision {
        add("Decided by", decision.by.clone());
        add("Comment", decision.comment.clone());
    }
    add(
        "Purpose",
        owned(operation.and_then(|operation| operation.reason.as_deref())),
    );
    add("Account", data.account.clone());
    add("Since", data.since.as_deref().map(minute));
    facts.truncate(8);
    facts
}

fn machine_count(kind: EventType, data: &Data, failed: usize, good: usize) -> Option<String> {
    if let Some(counts) = &data.machines {
        let Counts { total, ended, failed } = counts;
        return Some(format!("{ended} of {total} ended, {failed} failed"));
    }
    let session = data.session.as_ref()?;
    if kind == EventType::MachineFinished || session.virtual_machines.is_empty() {
        return None;
    }
    let total = session.virtual_machines.len();
    let open = total.saturating_sub(failed + good);
    let mut parts = vec![format!("{total} in all")];
    for (number, word) in [
        (failed, "failed"),
        (good, "succeeded"),
        (open, "without a result"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    Some(parts.join(", "))
}

fn reason(kind: EventType, data: &Data) -> Option<String> {
    let of_machine = || {
        let machine = machine(data).filter(|_| kind == EventType::MachineFinished)?;
        machine.failure_message.as_deref()
    };
    let lost = "Enterprise Manager no longer shows this session; its end is not known.";
    let text = data
        .session
        .as_ref()
        .and_then(|session| session.failure_message.as_deref())
        .or_else(of_machine)
        .or_else(|| data.operation.as_ref()?.failure.as_ref()?.message.as_deref())
        .or_else(|| data.endpoint.as_ref()?.reason.as_deref())
        .or(data.reason.as_deref())
        .or_else(|| (kind == EventType::SessionLost).then_some(lost))?;
    Some(clean(text, REASON))
}

fn alert(kind: EventType, id: &str, data: &Data, session: Option<&str>, operation: Option<&str>) -> Alert {
    let endpoint = data.endpoint.as_ref().and_then(|endpoint| endpoint.id.as_deref());
    let key = match kind {
        EventType::EndpointFailing | EventType::EndpointRecovered | EventType::EndpointDisabled => {
            endpoint.unwrap_or(id).to_owned()
        }
        EventType::UpstreamUnavailable | EventType::UpstreamRecovered => {
            format!("upstream:{}", data.account.as_deref().unwrap_or_default())
        }
        EventType::WebhookTest => id.to_owned(),
        _ => session.or(operation).unwrap_or(id).to_owned(),
    };
    let succeeded = |result: Option<&str>| matches!(result, Some("success"));
    let resolved = match kind {
        EventType::SessionFinished => succeeded(
            data.session
                .as_ref()
                .and_then(|session| session.result.as_deref()),
        ),
        EventType::OperationFinished => succeeded(
            data.operation
                .as_ref()
                .and_then(|operation| operation.result.as_deref()),
        ),
        // A test opens nothing that somebody would have to close.
        EventType::ApprovalDecided
        | EventType::EndpointRecovered
        | EventType::UpstreamRecovered
        | EventType::WebhookTest => true,
        _ => false,
    };
    Alert {
        key: clean(&key, ID),
        resolved,
    }
}
