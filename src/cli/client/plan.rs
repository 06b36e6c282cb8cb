//! `emgate plan`: lists failover plans, shows one, and tests, starts or undoes it.

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::exit;
use super::server::{Server, ServerArgs};
use super::wait::{WaitArgs, print, text, until_end};
use crate::cli::{Failure, output, say};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::id::EmId;
use crate::text::{MOMENT, counted, spelled_out};

/// Arguments of `emgate plan`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  emgate plan list
  emgate plan test \"ABC Company Failover Plan\" --wait --timeout 2h
  emgate plan start 3f56fa52-c902-4655-9774-2022fde214d2 --reason \"power cut in Berlin\" --json
  emgate plan start \"ABC Company Failover Plan\" --restore-point-before 2026-01-31T12:00:00Z --wait

Exit code with --wait: 0 success, 3 warning, 1 failed, 4 unknown, 5 refused, 6 the end was not seen (the failover goes on),
2 wrong usage. Without --wait 0 means that the gateway has accepted it.")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// What is done with plans.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum Command {
    /// List the failover plans
    List(ListArgs),
    /// Show a failover plan
    Show(ShowArgs),
    /// Test a failover plan
    Test(ActArgs),
    /// Start a failover
    Start(StartArgs),
    /// Undo a failover
    Undo(ActArgs),
}

/// Arguments of `emgate plan list`.
#[derive(clap::Args, Clone, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `emgate plan show`.
#[derive(clap::Args, Clone, Debug)]
pub struct ShowArgs {
    /// The plan's name or id
    #[arg(value_name = "NAME|ID")]
    pub plan: String,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of the actions.
#[derive(clap::Args, Clone, Debug)]
pub struct ActArgs {
    /// The plan's name or id
    #[arg(value_name = "NAME|ID")]
    pub plan: String,
    /// Why; some policies ask for it
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Make the command repeatable: the same key is the same failover for 24 hours
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    #[command(flatten)]
    pub wait: WaitArgs,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Arguments of `emgate plan start`.
#[derive(clap::Args, Clone, Debug)]
pub struct StartArgs {
    /// Use the newest restore points before this moment (RFC 3339), which must not be in the future; the latest when absent
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub restore_point_before: Option<Timestamp>,
    #[command(flatten)]
    pub act: ActArgs,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    crate::text::moment(text).ok_or_else(|| format!("it is not {MOMENT}"))
}

/// Runs the command.
///
/// # Errors
/// What went wrong, or how a failover ended, with its exit code.
pub async fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::List(args) => list(&Server::new(&args.server)?).await,
        Command::Show(args) => show(&Server::new(&args.server)?, &args.plan).await,
        Command::Test(args) => act(args, "test", Map::new()).await,
        Command::Start(args) => act(&args.act, "start", restore_point(args)).await,
        Command::Undo(args) => act(args, "undo", Map::new()).await,
    }
}

/// Where plans of either kind are.
const COLLECTIONS: [&str; 2] = ["cloud-failover-plans", "failover-plans"];

/// A plan and where it is.
struct Found {
    path: String,
    plan: Value,
}

async fn all(server: &Server) -> Result<Vec<Found>, Failure> {
    let mut all = Vec::new();
    for collection in COLLECTIONS {
        for plan in server.list(&format!("/{collection}")).await? {
            if let Some(id) = text(&plan, "/id") {
                all.push(Found {
                    path: format!("/{collection}/{id}"),
                    plan,
                });
            }
        }
    }
    Ok(all)
}

/// The plan of this id or name. A name is compared as it is, then without regard to letter case.
async fn find(server: &Server, wanted: &str) -> Result<Found, Failure> {
    let id = wanted.parse::<EmId>().ok();
    let mut plans = all(server).await?;
    let named = |found: &Found| text(&found.plan, "/name").unwrap_or_default().to_owned();
    let is_wanted = |found: &Found| match &id {
        Some(id) => text(&found.plan, "/id").and_then(|own| own.parse().ok()).as_ref() == Some(id),
        None => named(found) == wanted,
    };
    if plans.iter().any(is_wanted) {
        plans.retain(is_wanted);
    } else {
        plans.retain(|found| named(found).to_lowercase() == wanted.to_lowercase());
    }
    match (plans.pop(), plans.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(Failure::new(format!("there is no plan `{wanted}`"))
            .hint("emgate plan list shows those that this token sees")),
        (Some(last), false) => {
            plans.push(last);
            let ids: Vec<&str> = plans
                .iter()
                .filter_map(|found| text(&found.plan, "/id"))
                .collect();
            Err(
                Failure::usage(format!("{} plans are called `{wanted}`", ids.len()))
                    .hint(format!("name one by its id: {}", ids.join(", "))),
            )
        }
    }
}

async fn list(server: &Server) -> Result<(), Failure> {
    let plans = all(server).await?;
    if server.json {
        let plans: Vec<Value> = plans.into_iter().map(|found| found.plan).collect();
        return output(format!("{:#}\n", Value::from(plans)).as_bytes());
    }
    if plans.is_empty() {
        say("this token sees no failover plan");
    }
    let mut lines = String::new();
    for Found { plan, .. } in &plans {
        let part = |pointer| text(plan, pointer).map_or_else(|| "-".to_owned(), spelled_out);
        lines.push_str(&format!(
            "{}  {:<10}  {}  ({})\n",
            part("/id"),
            part("/kind"),
            part("/name"),
            part("/tenant/name")
        ));
    }
    output(lines.as_bytes())
}

async fn show(server: &Server, wanted: &str) -> Result<(), Failure> {
    let found = find(server, wanted).await?;
    let plan = server.get(&found.path).await?;
    if server.json {
        return output(format!("{plan:#}\n").as_bytes());
    }
    let part = |pointer| text(&plan, pointer).map_or_else(|| "-".to_owned(), spelled_out);
    let names = |pointer: &str, member: &str| {
        let items = plan.pointer(pointer).and_then(Value::as_array);
        let items = items.into_iter().flatten();
        let names: Vec<String> = items
            .filter_map(|item| item.pointer(member)?.as_str())
            .map(spelled_out)
            .collect();
        names.join(", ")
    };
    let lines = [
        ("name", part("/name")),
        ("id", part("/id")),
        ("kind", part("/kind")),
        ("tenant", part("/tenant/name")),
        ("server", part("/backupServer/name")),
        ("machines", names("/virtualMachines", "/name")),
        ("actions", names("/actions", "")),
    ];
    let lines = lines.map(|(name, value)| format!("{name:<9} {value}\n"));
    output(lines.concat().as_bytes())
}

/// Refuses an action that plans of this kind do not take, in place of the address that there is none for.
fn check_action(plan: &Value, action: &str) -> Result<(), Failure> {
    let taken = plan.pointer("/actions").and_then(Value::as_array);
    let taken: Vec<&str> = taken.into_iter().flatten().filter_map(Value::as_str).collect();
    if taken.is_empty() || taken.contains(&action) {
        return Ok(());
    }
    let kind = text(plan, "/kind").unwrap_or("this kind");
    Err(Failure::usage(format!(
        "a plan of kind {kind} does not take `{action}`; it takes: {}",
        taken.join(", ")
    )))
}

/// The members of a start's body that no other action has.
fn restore_point(args: &StartArgs) -> Map<String, Value> {
    let before = args.restore_point_before.iter();
    let point = before.map(|before| ("restorePoint".to_owned(), json!({"before": before.to_string()})));
    point.collect()
}

/// `body` has the members that the action alone has.
async fn act(args: &ActArgs, action: &str, mut body: Map<String, Value>) -> Result<(), Failure> {
    let server = Server::new(&args.server)?;
    args.wait.note_unused();
    let deadline = args.wait.timeout.deadline();
    let found = find(&server, &args.plan).await?;
    check_action(&found.plan, action)?;
    // One key for the command, however often its request has to be sent.
    let key = args.idempotency_key.clone();
    let key = key.unwrap_or_else(|| SystemClock.id().to_string());
    if let Some(reason) = &args.reason {
        body.insert("reason".to_owned(), reason.as_str().into());
    }
    let (path, body) = (format!("{}/{action}", found.path), Value::from(body));
    let sent = server.persist(Method::POST, &path, deadline, |request| {
        request.header("idempotency-key", &key).json(&body)
    });
    let answer = tokio::select! {
        answer = sent => answer?,
        _ = tokio::signal::ctrl_c() => {
            let mut failure = Failure::new("interrupted before the gateway answered; it may have accepted the request")
                .hint(format!("the same command with --idempotency-key {key} tells, and starts nothing twice"));
            failure.exit = Some(exit::GOES_ON);
            return Err(failure);
        }
    };
    let operation = answer.body;
    if !server.json && text(&operation, "/state") == Some("awaitingApproval") {
        let required = operation.pointer("/approval/required").and_then(Value::as_u64);
        let required = counted(required.unwrap_or_default(), "approval");
        let until = text(&operation, "/approval/expiresAt").unwrap_or_default();
        say(&format!(
            "nothing was started: it waits for {required} until {until}"
        ));
    }
    match text(&operation, "/id") {
        Some(id) if args.wait.wait => {
            if !server.json {
                say(&format!("operation {id}"));
            }
            until_end(&server, id, deadline, true).await
        }
        _ => print(&server, &operation),
    }
}
