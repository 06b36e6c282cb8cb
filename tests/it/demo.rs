//! The demo as a newcomer runs it: the binary as a process, its output in a pipe.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PLAN: &str = "3f56fa52-c902-4655-9774-2022fde214d2";

/// The demo with these arguments, its temporary files in `folder`.
fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emgate"));
    command
        .arg("demo")
        .args(arguments)
        .env_clear()
        .env("TMPDIR", folder)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn the_fast_demo_ends_with_a_verified_webhook() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let Output {
        status,
        stdout,
        stderr,
    } = demo(folder.path(), &["--fast"]).output().unwrap();
    let (out, errors) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(0), "{out}\n{errors}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    for machine in ["filesrv03", "filesrv04", "filesrv05", "filesrv06"] {
        let done =
            |line: &&str| line.contains(machine) && line.contains("100 %") && line.ends_with("success");
        assert_eq!(out.lines().filter(done).count(), 1, "{machine}:\n{out}");
    }
    for part in [
        "201 Created: endpoint ep_",
        "202 Accepted: operation ",
        "webhook failover.session.started: signature verified",
        "\nwebhook failover.session.finished\n  webhook-id: evt_",
        "  webhook-signature: v1,",
        "recovery report: written to emgate-demo-report.html",
        "  verified as signed: passed, sha-256:",
        "  verified by the receiver: HMAC-SHA256",
        "\nresult: success, 4 machines in ",
    ] {
        assert!(out.contains(part), "{part} is missing:\n{out}");
    }
    assert!(!out.contains('\u{1b}'), "a pipe gets no terminal's language");
    assert!(out.lines().count() < 100, "no flood:\n{out}");
    assert_eq!(errors, "", "all went well, so nothing is to be said on stderr");
    assert!(is_empty(folder.path()), "the demo leaves nothing behind");
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path(), &[]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The failover runs for half a minute; its first line is early enough.
    lines
        .find(|line| line.as_ref().unwrap().contains("filesrv03"))
        .unwrap()
        .unwrap();
    interrupt(&child);
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(text(&stderr), "error: interrupted before the demo ended\n");
    assert!(is_empty(folder.path()));
}

#[test]
fn a_demo_that_stays_up_prints_a_token_that_the_api_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path(), &["--fast", "--keep"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let token = lines
        .find_map(|line| line.strip_prefix("  TOKEN=").map(str::to_owned))
        .expect("a token");
    let url = lines
        .find_map(|line| line.split_once("$TOKEN\" ").map(|(_, url)| url.to_owned()))
        .expect("a curl line");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ask = |url: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(url).bearer_auth(&token);
        runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() })
    };
    let answer = ask(&url);
    assert!(answer.contains(PLAN), "{answer}");
    let programme = ask(&url.replace("cloud-failover-plans", "reports/recovery-tests"));
    let programme: serde_json::Value = serde_json::from_str(&programme).unwrap();
    let plans = programme["items"].as_array().unwrap();
    let tests = |id: &str| plans.iter().find(|plan| plan["plan"]["id"] == id).unwrap()["tests"].clone();
    // One a month, and the one that the demo is about.
    assert_eq!(tests(PLAN), 13, "{programme}");
    assert!(plans.iter().any(|plan| plan["overdue"] == true), "{programme}");
    let root = url.split_once("/api/").unwrap().0;
    let ready: serde_json::Value = serde_json::from_str(&ask(&format!("{root}/readyz"))).unwrap();
    assert_eq!(ready["status"], "ready", "the clock is believed: {ready}");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(is_empty(folder.path()));
}

#[test]
fn a_demo_whose_port_is_in_use_fails_with_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stderr, .. } = demo(folder.path(), &["--port", &port]).output().unwrap();
    let errors = text(&stderr);
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.starts_with("error: the gateway did not start: ") && errors.contains(&port),
        "{errors}"
    );
    assert!(is_empty(folder.path()));
}
