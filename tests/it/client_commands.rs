//! The commands that are clients of a running gateway, as processes: what they print, and their exit codes.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::process::{Process, command};
use crate::support::receiver::WebhookReceiver;
use crate::support::tcp_gate::TcpGate;
use crate::support::world::World;
use crate::support::{PLAN, SECRET, seconds_now, token};
use crate::waiting::{eventually, output_of};

const NAME: &str = "ABC Company Failover Plan";
const SCOPES: &str = "plans:read plans:test plans:start plans:undo sessions:read operations:read operations:cancel \
                      events:read tenants:all";

fn prepared(world: &World, arguments: &[&str]) -> Command {
    let mut prepared = command(&[], arguments);
    prepared
        .env("EMGATE_SERVER", world.gateway.url(""))
        .env("EMGATE_TOKEN", token(&json!({"sub": "cli", "scope": SCOPES})))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    prepared
}

fn started(world: &World, arguments: &[&str]) -> Child {
    prepared(world, arguments).spawn().expect("the binary starts")
}

async fn run(mut command: Command) -> (Option<i32>, String, String) {
    let child = command.spawn().expect("the binary starts");
    let output: Output = tokio::task::spawn_blocking(move || output_of(child))
        .await
        .expect("an end");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

async fn ran(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    run(prepared(world, arguments)).await
}

fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(status.expect("kill").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_found_by_name_or_id_and_tested_to_its_end() {
    let world = World::start(&["--speed", "50"]).await;
    let (code, list, _) = ran(&world, &["plan", "list"]).await;
    assert_eq!(code, Some(0));
    assert!(list.contains(PLAN) && list.contains(NAME), "{list}");
    let (code, shown, _) = ran(&world, &["plan", "show", &NAME.to_lowercase(), "--json"]).await;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((code, shown["id"].as_str()), (Some(0), Some(PLAN)));
    let (code, shown, _) = ran(&world, &["plan", "show", PLAN]).await;
    assert!(code == Some(0) && shown.contains(NAME), "{shown}");
    let (code, tested, told) = ran(&world, &["plan", "test", NAME, "--wait", "--timeout", "1m"]).await;
    assert_eq!(code, Some(0), "{tested}{told}");
    assert!(
        tested.contains("test of ABC Company Failover Plan: success"),
        "{tested}"
    );
    let (code, accepted, _) = ran(
        &world,
        &["plan", "test", PLAN, "--json", "--idempotency-key", "k"],
    )
    .await;
    let accepted: Value = serde_json::from_str(&accepted).expect("JSON");
    assert_eq!(code, Some(0));
    let (_, again, _) = ran(
        &world,
        &["plan", "test", PLAN, "--json", "--idempotency-key", "k"],
    )
    .await;
    let again: Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(again["id"], accepted["id"], "one key, one operation");
    let id = accepted["id"].as_str().expect("an id");
    let (code, waited, _) = ran(&world, &["operation", "wait", id]).await;
    assert_eq!(code, Some(0), "{waited}");
    let (code, shown, _) = ran(&world, &["operation", "show", id]).await;
    assert!(code == Some(0) && shown.contains("success"), "{shown}");
    let (code, _, told) = ran(&world, &["operation", "cancel", id]).await;
    assert_eq!(code, Some(5), "{told}");
    let (code, log, _) = ran(
        &world,
        &["events", "--json", "--type", "failover.session.finished"],
    )
    .await;
    assert_eq!((code, log.lines().count()), (Some(0), 2), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_a_plan_says_so_beside_the_output() {
    let world = World::start(&["--plans", "0"]).await;
    let (code, list, told) = ran(&world, &["plan", "list"]).await;
    assert_eq!((code, list.as_str()), (Some(0), ""), "{told}");
    assert!(told.contains("this token sees no failover plan"), "{told}");
    let (code, list, told) = ran(&world, &["plan", "list", "--json"]).await;
    assert_eq!((code, list.as_str(), told.as_str()), (Some(0), "[]\n", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_cannot_do_has_its_exit_code() {
    let world = World::start(&["--speed", "0.1"]).await;
    let (code, _, told) = ran(&world, &["plan", "test", "No Such Plan"]).await;
    assert!(code == Some(1) && told.contains("there is no plan"), "{told}");
    let (code, _, told) = ran(&world, &["plan", "test", "Site 1 Failover Plan"]).await;
    assert!(
        code == Some(2) && told.contains("it takes: start, undo"),
        "{told}"
    );
    let (code, _, told) = ran(
        &world,
        &["operation", "show", "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01"],
    )
    .await;
    assert!(code == Some(1) && told.contains("not-found"), "{told}");
    let (code, ..) = ran(&world, &["operation", "show", "x"]).await;
    assert_eq!(code, Some(2), "no id");
    let mut without = prepared(&world, &["plan", "list"]);
    without.env_remove("EMGATE_TOKEN");
    let (code, _, told) = run(without).await;
    assert!(code == Some(2) && told.contains("there is no token"), "{told}");
    let mut nowhere = prepared(&world, &["plan", "list"]);
    nowhere.env("EMGATE_SERVER", "http://127.0.0.1:9");
    let (code, _, told) = run(nowhere).await;
    assert!(code == Some(1) && told.contains("does not answer"), "{told}");
    let mut encrypted = prepared(&world, &["plan", "list"]);
    encrypted.env("EMGATE_SERVER", format!("https://{}", world.gateway.addr));
    let (code, _, told) = run(encrypted).await;
    assert!(code == Some(1) && told.contains("begins with http://"), "{told}");
    let mut reader = prepared(&world, &["plan", "test", PLAN]);
    reader.env(
        "EMGATE_TOKEN",
        token(&json!({"sub": "cli", "scope": "plans:read tenants:all"})),
    );
    let (code, _, told) = run(reader).await;
    assert!(code == Some(5) && told.contains("insufficient-scope"), "{told}");
    assert!(!told.contains(SECRET));
    // A failover that outlasts the wait goes on.
    let (code, _, told) = ran(&world, &["plan", "test", PLAN, "--wait", "--timeout", "1s"]).await;
    assert_eq!(code, Some(6), "{told}");
    assert!(told.contains("before the operation was seen to end"), "{told}");
    let (code, _, told) = ran(&world, &["plan", "test", PLAN]).await;
    assert!(code == Some(5) && told.contains("plan-busy"), "{told}");
    let open = world.get("/api/v1/operations?state=running,submitting").await;
    assert_eq!(open["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_takes_a_bound_of_the_restore_points_that_the_report_names() {
    let world = World::start(&["--speed", "50"]).await;
    let start = |before: &str| {
        let arguments = ["plan", "start", PLAN, "--restore-point-before", before];
        prepared(
            &world,
            &[&arguments[..], &["--wait", "--timeout", "1m", "--json"]].concat(),
        )
    };
    let (code, _, told) = run(start("yesterday")).await;
    assert!(code == Some(2) && told.contains("RFC 3339"), "{told}");
    let (code, _, told) = run(start("2999-01-01T00:00:00Z")).await;
    assert!(
        code == Some(5) && told.contains("must not be in the future"),
        "{told}"
    );
    let (code, ..) = ran(
        &world,
        &[
            "plan",
            "test",
            PLAN,
            "--restore-point-before",
            "2026-01-31T12:00:00Z",
        ],
    )
    .await;
    assert_eq!(code, Some(2), "start alone has it");

    let hour_ago = jiff::Timestamp::from_second(seconds_now() - 3600).expect("a moment");
    let zoned = hour_ago.display_with_offset(jiff::tz::offset(2)).to_string();
    let (code, started, told) = run(start(&zoned)).await;
    assert_eq!(code, Some(0), "{told}");
    let started: Value = serde_json::from_str(&started).expect("JSON");
    let id = started["id"].as_str().expect("an id");
    let report = world.get(&format!("/api/v1/operations/{id}/report")).await;
    assert_eq!(
        report["execution"]["restorePointBefore"],
        json!(hour_ago.to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_on_a_wait_that_is_none_is_said_to_bound_nothing() {
    let world = World::start(&["--speed", "50"]).await;
    let (code, accepted, told) = ran(&world, &["plan", "test", PLAN, "--timeout", "1m"]).await;
    assert_eq!(code, Some(0), "{accepted}{told}");
    assert!(told.contains("--timeout bounds the wait of --wait"), "{told}");
    let list = world.get("/api/v1/operations").await;
    let id = list["items"][0]["id"].as_str().expect("an id").to_owned();
    let (code, _, told) = ran(&world, &["operation", "wait", &id, "--timeout", "1m"]).await;
    assert!(code == Some(0) && !told.contains("--timeout"), "{told}");
    let (_, _, told) = ran(&world, &["plan", "test", PLAN]).await;
    assert!(!told.contains("--timeout"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_says_once_that_enterprise_manager_is_away() {
    let mut world = World::start(&["--speed", "0.1"]).await;
    let (status, operation) = world
        .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"), &json!({}))
        .await;
    assert_eq!(status, 202);
    let other = Process::start(&["simulate", "--listen", "127.0.0.1:0"], &[]);
    std::mem::replace(&mut world.simulator, other).kill();
    let is_away = |readiness: &Value| {
        let mut checks = readiness["checks"].as_array().expect("checks").iter();
        checks.any(|check| check["name"] == "upstream" && check["status"] == "failed")
    };
    world.until("/readyz", is_away).await;
    let id = operation["id"].as_str().expect("an id");
    let (code, _, told) = ran(&world, &["operation", "wait", id, "--timeout", "3s"]).await;
    assert_eq!(code, Some(6), "{told}");
    let said = "Enterprise Manager does not answer the gateway since ";
    assert_eq!(told.matches(said).count(), 1, "{told}");
    // What only Enterprise Manager can answer is asked again, and the reason is said.
    let mut child = started(&world, &["plan", "list"]);
    let mut told = BufReader::new(child.stderr.take().expect("piped"));
    let child = KilledAtTheEnd(child);
    let mut line = String::new();
    told.read_line(&mut line).expect("a line");
    assert!(
        line.contains("(upstream-unavailable); the request is repeated"),
        "{line}"
    );
    drop(child);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_wait_leaves_the_failover_running() {
    let world = World::start(&["--speed", "0.1"]).await;
    let child = started(&world, &["plan", "test", PLAN, "--wait"]);
    world
        .until("/api/v1/operations", |list| {
            list["items"][0]["state"] == "running"
        })
        .await;
    interrupt(&child);
    let output = tokio::task::spawn_blocking(move || output_of(child))
        .await
        .expect("an end");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{told}");
    assert!(
        told.contains("goes on") || told.contains("may have accepted"),
        "{told}"
    );
    let list = world.get("/api/v1/operations").await;
    assert_eq!(list["items"][0]["state"], "running");
    assert_eq!(list["items"][0]["cancelRequestedAt"], Value::Null);
}

/// Starts a gateway that holds a request that waits for a second, not for the 30 that are asked for.
#[cfg(unix)]
const SHORT_WAITS: [&str; 2] = ["env", "EMGATE_SERVER__REQUEST_TIMEOUT=6s"];

#[cfg(unix)]
#[rstest]
#[case::of_an_action(&["plan", "test", PLAN, "--wait"])]
#[case::of_an_operation(&["operation", "wait"])]
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_goes_on_through_a_restart(#[case] arguments: &[&str]) {
    let world = World::start_by(&SHORT_WAITS, &["--speed", "5"]).await;
    let gate = TcpGate::to(world.gateway.addr);
    let mut arguments = arguments.to_vec();
    let id;
    if arguments[0] == "operation" {
        let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
        let (_, operation) = world.post(&path, &json!({})).await;
        id = operation["id"].as_str().expect("an id").to_owned();
        arguments.push(&id);
    }
    let mut command = prepared(&world, &arguments);
    command.env("EMGATE_SERVER", gate.url());
    let mut child = command.spawn().expect("the binary starts");
    let mut told = BufReader::new(child.stderr.take().expect("piped"));
    let mut child = KilledAtTheEnd(child);
    let mut said = String::new();
    let mut until = |part: &str| {
        while !said.contains(part) {
            assert_ne!(told.read_line(&mut said).expect("a line"), 0, "{said}");
        }
    };
    until("running");
    // The gateway that ends answers the request that waits; the next one finds nobody.
    gate.refuse().await;
    let world = world.restart();
    until("Connection refused");
    gate.lead_to(world.gateway.addr);
    gate.open().await;
    let status = tokio::task::spawn_blocking(move || child.0.wait())
        .await
        .expect("no panic");
    assert_eq!(status.expect("it ends").code(), Some(0));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_whose_token_expires_says_that_the_failover_goes_on() {
    let world = World::start_by(&SHORT_WAITS, &["--speed", "0.1"]).await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let (_, operation) = world.post(&path, &json!({})).await;
    let id = operation["id"].as_str().expect("an id").to_owned();
    let file = world.folder().join("token");
    let valid = token(&json!({"sub": "cli", "scope": SCOPES}));
    std::fs::write(&file, valid).expect("written");
    let mut command = prepared(&world, &["operation", "wait", &id, "--token-file"]);
    command.arg(&file).env_remove("EMGATE_TOKEN");
    let mut child = command.spawn().expect("the binary starts");
    let mut told = BufReader::new(child.stderr.take().expect("piped"));
    let mut child = KilledAtTheEnd(child);
    let mut said = String::new();
    while !said.contains("running") {
        assert_ne!(told.read_line(&mut said).expect("a line"), 0, "{said}");
    }
    let expired = token(&json!({"sub": "cli", "scope": SCOPES, "exp": 1_000_000_000}));
    std::fs::write(&file, expired).expect("written");
    while told.read_line(&mut said).expect("a line") > 0 {}
    let status = child.0.wait().expect("it ends");
    assert_eq!(status.code(), Some(6), "{said}");
    assert!(
        said.contains("expired") && said.contains("goes on") && said.contains(&id),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn followed_events_go_on_through_a_restart() {
    let world = World::start(&["--speed", "50"]).await;
    let mut child = started(&world, &["events", "--follow", "--after", "start", "--json"]);
    let stdout = child.stdout.take().expect("piped");
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let (status, _) = world
        .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"), &json!({}))
        .await;
    assert_eq!(status, 202);
    let mut seen: Vec<Value> = Vec::new();
    let is_finished = |event: &Value| event["type"] == "failover.session.finished";
    eventually(
        "the end in the output",
        async || {
            seen.extend(
                lines
                    .try_iter()
                    .map(|line| serde_json::from_str(&line).expect("JSON")),
            );
            seen.iter().any(is_finished)
        },
        |ended| *ended,
    )
    .await;
    let log = world.get("/api/v1/events?pageSize=100").await;
    assert_eq!(Value::from(seen), log["items"]);
    #[cfg(unix)]
    {
        interrupt(&child);
        let output = tokio::task::spawn_blocking(move || output_of(child))
            .await
            .expect("an end");
        assert_eq!(output.status.code(), Some(0), "the ordinary end");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forwarded_is_a_webhook_and_leaves_nothing_behind() {
    let world = World::start(&["--speed", "50"]).await;
    let mut receiver = WebhookReceiver::start().await;
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let mut command = prepared(
        &world,
        &[
            "listen",
            "--forward-to",
            &receiver.url(),
            "--type",
            "failover.session.finished",
            "--after",
            "start",
        ],
    );
    let child = command
        .env("EMGATE_WEBHOOK_SECRET", secret)
        .spawn()
        .expect("started");
    let (status, _) = world
        .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"), &json!({}))
        .await;
    assert_eq!(status, 202);
    let received = receiver.next_of("failover.session.finished").await;
    received.verify(secret);
    let log = world.get("/api/v1/events?pageSize=100").await;
    let mut items = log["items"].as_array().expect("items").iter();
    let event = items
        .find(|item| item["type"] == "failover.session.finished")
        .expect("the event");
    assert_eq!(received.json["data"], event["data"]);
    assert_eq!(
        received.headers["webhook-id"],
        event["id"].as_str().expect("an id")
    );
    for list in ["webhook-endpoints", "webhook-deliveries"] {
        let list = world.get(&format!("/api/v1/{list}")).await;
        assert_eq!(list["items"], json!([]));
    }
    drop(KilledAtTheEnd(child));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_by_itself_ends_when_nobody_reads_it() {
    let world = World::start(&["--speed", "50"]).await;
    let receiver = WebhookReceiver::start().await;
    let to = receiver.url();
    for arguments in [
        ["events", "--follow", "--after", "start", "--json"].as_slice(),
        &["listen", "--forward-to", &to, "--after", "start", "--json"],
    ] {
        let mut child = started(&world, arguments);
        // As `| head -1`: one line is read, and then the pipe is closed.
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (status, _) = world
            .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"), &json!({}))
            .await;
        assert_eq!(status, 202);
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert!(line["secret"].is_string() || line["id"].is_string(), "{line}");
        drop(stdout);
        let output = tokio::task::spawn_blocking(move || output_of(child))
            .await
            .expect("an end");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let list = world.get("/api/v1/operations?pageSize=1").await;
        let id = list["items"][0]["id"].as_str().expect("an id").to_owned();
        let path = format!("/api/v1/operations/{id}");
        world.until(&path, |body| body["state"] == "finished").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_goes_before_a_variable_and_an_empty_token_is_none() {
    let world = World::start(&["--speed", "50"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    let good = token(&json!({"sub": "cli", "scope": SCOPES}));
    std::fs::write(&file, good).expect("written");
    let file = file.to_str().expect("a path");
    let mut command = prepared(&world, &["plan", "list", "--token-file", file]);
    command.env("EMGATE_TOKEN", "of-another-shell");
    assert_eq!(run(command).await.0, Some(0));
    let mut command = prepared(&world, &["plan", "list"]);
    command.env("EMGATE_TOKEN", "");
    let (code, _, told) = run(command).await;
    assert!(code == Some(2) && told.contains("there is no token"), "{told}");
}

struct KilledAtTheEnd(Child);

impl Drop for KilledAtTheEnd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The authority of a gateway, and the variables that make it serve what came from there.
pub fn certified(folder: &std::path::Path) -> (String, [String; 2]) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&key, &authority).expect("a certificate");
    let written = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (chain, key) = (
        written("tls.crt", leaf.pem()),
        written("tls.key", key.serialize_pem()),
    );
    let served = [
        format!("EMGATE_SERVER__TLS__CERT_FILE={chain}"),
        format!("EMGATE_SERVER__TLS__KEY_FILE={key}"),
    ];
    (written("ca.pem", authority.pem()), served)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_with_a_certificate_of_ones_own_authority_is_trusted_by_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ca, [chain, key]) = certified(folder.path());
    let world = World::begin_by(&["env", &chain, &key], &["--speed", "50"]);
    let address = format!("https://{}", world.gateway.addr);
    let over_tls = |arguments: &[&str]| {
        let mut command = prepared(&world, arguments);
        command.env("EMGATE_SERVER", &address);
        command
    };
    let list = ["plan", "list", "--ca-file", ca.as_str()];
    let listed = async || run(over_tls(&list)).await;
    let (_, plans, _) = eventually("the plans", listed, |(code, ..)| *code == Some(0)).await;
    assert!(plans.contains(NAME), "{plans}");
    let (code, _, told) = run(over_tls(&["plan", "list"])).await;
    assert!(code == Some(1) && told.contains("EMGATE_CA_FILE"), "{told}");
    let empty = folder.path().join("tls.key").display().to_string();
    for (file, why) in [
        ("/nowhere/ca.pem", "cannot read"),
        (&empty, "holds no certificate"),
    ] {
        let (code, _, told) = run(over_tls(&["plan", "list", "--ca-file", file])).await;
        assert!(code == Some(2) && told.contains(why), "{told}");
    }
    let by_variable = |arguments: &[&str]| {
        let mut command = over_tls(arguments);
        command.env("EMGATE_CA_FILE", &ca);
        command
    };
    let (code, tested, told) = run(by_variable(&["plan", "test", NAME, "--wait", "--timeout", "1m"])).await;
    assert_eq!(code, Some(0), "{tested}{told}");
    let (code, log, _) = run(by_variable(&["events", "--json"])).await;
    assert!(
        code == Some(0) && log.contains("failover.session.finished"),
        "{log}"
    );
    let mut receiver = WebhookReceiver::start().await;
    let to = receiver.url();
    let listening = by_variable(&["listen", "--forward-to", &to, "--after", "start"]).spawn();
    let listening = KilledAtTheEnd(listening.expect("started"));
    receiver.next_of("failover.session.finished").await;
    drop(listening);
}
