//! A store on a disk that is full or read-only: the error at the start, the problems that callers get while the gateway runs, and
//! that it continues by itself, with all that was acknowledged, when there is room again.
//!
//! No rights are needed. A limit on the size of files simulates a full disk: every process has one, and the gateway's can
//! be lowered and raised while it runs. A real full file system is tested too where namespaces may be made. Modes of
//! files do not count for root, unless it gives that right away before it starts the gateway.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::PLAN;
use crate::support::postgres::is_root;
use crate::support::process::command;
use crate::support::receiver::WebhookReceiver;
use crate::support::world::{World, stats};
use crate::waiting::{eventually, output_of};

/// A process that gets an error for a write beyond its limit, and is not killed.
const LIMITED: &[&str] = &["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
/// Root without the right to pass over the modes of files.
const COMMON: &[&str] = &[
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
];
/// A file system of 16 MiB in the memory, seen by the gateway alone.
const SMALL: &[&str] = &[
    "unshare",
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    "mount -t tmpfs -o size=16m none '{}' && exec \"$0\" \"$@\"",
];

/// How a disk is filled and made room on.
type Fill = fn(&World, bool);

fn limit(world: &World, full: bool) {
    let size = if full { "4096:" } else { "unlimited:" };
    let id = world.gateway.id().to_string();
    run(Command::new("prlimit").args(["--pid", &id, &format!("--fsize={size}")]));
}

fn ballast(world: &World, full: bool) {
    let id = world.gateway.id().to_string();
    let file = world.folder().join("ballast");
    // dd ends with a failure when there is no more room, which is what it is for.
    let script = if full {
        "dd if=/dev/zero of=\"$0\" bs=1k 2>/dev/null; true"
    } else {
        "rm \"$0\""
    };
    run(Command::new("nsenter")
        .args([
            "--target",
            &id,
            "--user",
            "--mount",
            "--preserve-credentials",
            "sh",
            "-c",
            script,
        ])
        .arg(file));
}

fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_only_while_it_is_full() {
    full_and_free(
        World::start_by(LIMITED, &["--speed", "10"]).await,
        limit,
        "its disk or folder fails",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_file_system_refuses_writes_only() {
    let permitted = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "mount",
            "-t",
            "tmpfs",
            "none",
            "/mnt",
        ])
        .stderr(Stdio::null())
        .status();
    // Where namespaces are forbidden, the limit on the size of files has to do once more.
    let (starter, fill, reason): (_, Fill, _) = if permitted.is_ok_and(|status| status.success()) {
        (SMALL, ballast, "its disk is full")
    } else {
        (LIMITED, limit, "its disk or folder fails")
    };
    full_and_free(World::start_by(starter, &["--speed", "10"]).await, fill, reason).await;
}

async fn full_and_free(world: World, fill: Fill, reason: &str) {
    let mut receiver = WebhookReceiver::start().await;
    let endpoint = json!({"url": receiver.url(), "eventTypes": ["failover.session.finished"]});
    let (status, created) = world.post("/api/v1/webhook-endpoints", &endpoint).await;
    assert_eq!(status, 201, "{created}");
    let plan = |action: &str| format!("/api/v1/cloud-failover-plans/{PLAN}/{action}");
    let (status, operation) = world.post(&plan("test"), &json!({})).await;
    assert_eq!(status, 202, "{operation}");

    fill(&world, true);
    let red = until(&world, "/readyz", |status, body| {
        status == 503 && !check(body)["reason"].is_null()
    })
    .await;
    assert_eq!(
        (&check(&red)["status"], &check(&red)["reason"]),
        (&json!("failed"), &json!(reason)),
        "{red}"
    );
    assert!(check(&red)["since"].is_string(), "{red}");
    let list = world.get("/api/v1/cloud-failover-plans").await;
    let other = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .find(|plan| plan["id"] != PLAN);
    let other = other.expect("another plan")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for (path, body) in [
        (format!("/api/v1/cloud-failover-plans/{other}/test"), json!({})),
        ("/api/v1/webhook-endpoints".to_owned(), endpoint.clone()),
    ] {
        let (status, pause, problem) = world.try_post(&path, &body).await;
        assert_eq!(
            (status, &problem["code"]),
            (503, &json!("store-unavailable")),
            "{path}: {problem}"
        );
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(reason)),
            "{problem}"
        );
        assert!(pause, "{path} says when to come again");
    }
    let id = operation["id"].as_str().expect("an id");
    let kept = world.get(&format!("/api/v1/operations/{id}")).await;
    assert_eq!(kept["state"], "running", "{kept}");
    // The failover ends while nothing can be written down.
    let session = |list: &Value| list["items"][0]["state"] == "stopped";
    world.until("/api/v1/failover-sessions", session).await;
    assert_eq!(reported(&world).await, 0);

    fill(&world, false);
    world.wait_until_ready().await;
    let ended = world
        .until(&format!("/api/v1/operations/{id}"), |body| {
            body["state"] == "finished"
        })
        .await;
    assert_eq!(ended["result"], "success", "{ended}");
    let delivered = receiver.next_of("failover.session.finished").await;
    assert_eq!(delivered.json["data"]["operation"]["id"], id);
    assert_eq!(reported(&world).await, 1);
    let (status, next) = world
        .post(&format!("/api/v1/cloud-failover-plans/{other}/test"), &json!({}))
        .await;
    assert_eq!(status, 202, "{next}");
    let counted = stats(&world.simulator).await;
    for plan in [PLAN, &other] {
        let posts = &counted["requests"][format!("POST /api/cloud/cloudFailoverPlans/{plan}")];
        assert_eq!(posts, 1, "what was refused was not sent: {counted}");
    }
    let (status, _) = world.stop_gateway();
    assert!(status.success());
}

/// Readiness' word on the store.
fn check(readiness: &Value) -> &Value {
    let checks = readiness["checks"].as_array().expect("checks");
    checks
        .iter()
        .find(|check| check["name"] == "store")
        .expect("the store")
}

async fn until(world: &World, path: &str, wished: impl Fn(u16, &Value) -> bool) -> Value {
    let ask = async || world.ask(path).await;
    let (_, _, body) = eventually(path, ask, |(status, _, body)| wished(*status, body)).await;
    body
}

/// The number of ended sessions in the event log.
async fn reported(world: &World) -> usize {
    let log = world.get("/api/v1/events?pageSize=100").await;
    let events = log["items"].as_array().expect("items").iter();
    events
        .filter(|event| event["type"] == "failover.session.finished")
        .count()
}

#[test]
fn a_store_that_cannot_be_written_to_is_reported_at_the_start_with_a_remedy() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("emgate.db");
    let common = if is_root() { COMMON } else { &[] };
    let small = &["sh", "-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\""];

    mode(directory.path(), "555");
    refuses(
        common,
        &file,
        &["emgate.db.lock", "Permission denied", "may this user write there"],
    );
    mode(directory.path(), "755");

    // A store that was in use before.
    let made = check_store(&[], &file);
    let said = String::from_utf8_lossy(&made.stdout);
    assert!(said.contains("opens and is up to date"), "{said}");
    mode(directory.path(), "555");
    refuses(common, &file, &["emgate.db", "cannot be written to"]);
    mode(directory.path(), "755");
    refuses(
        small,
        &file,
        &["emgate.db", "cannot be written to", "is the disk healthy"],
    );
    mode(&file, "444");
    refuses(
        common,
        &file,
        &[
            "emgate.db",
            "it is read-only",
            "make the file, its folder and its disk writable",
        ],
    );
    mode(&file, "644");
    let well = check_store(common, &file);
    let said = String::from_utf8_lossy(&well.stdout);
    assert!(said.contains("opens and is up to date"), "{said}");
}

fn mode(path: &Path, mode: &str) {
    run(Command::new("chmod").arg(mode).arg(path));
}

/// `serve` ends with 1 and says all of this.
fn refuses(starter: &[&str], file: &Path, words: &[&str]) {
    let output = emgate(starter, "serve", file);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let said = said
        .lines()
        .filter(|line| line.starts_with("error:") || line.starts_with("hint:"));
    let said: String = said.collect::<Vec<_>>().join("\n");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(said.contains(&file.display().to_string()), "the place: {said}");
}

fn check_store(starter: &[&str], file: &Path) -> Output {
    emgate(starter, "check", file)
}

fn emgate(starter: &[&str], subcommand: &str, file: &Path) -> Output {
    let mut command = command(starter, &[subcommand]);
    command
        .env("EMGATE_SERVER__LISTEN", "127.0.0.1:0")
        .env("EMGATE_UPSTREAM__URL", "http://127.0.0.1:9")
        .env("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "operators")
        .env("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "u")
        .env("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "p")
        .env("EMGATE_AUTH__KEYS__0__KIND", "hs256")
        .env("EMGATE_AUTH__KEYS__0__SECRET", crate::support::SECRET)
        .env("EMGATE_STORE__URL", format!("sqlite://{}", file.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    output_of(command.spawn().expect("it runs"))
}
