//! The examples of docs/guides, run as they stand against a gateway.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::token;
use crate::support::world::World;
use crate::waiting::{eventually, output_of};

fn example(world: &World, name: &str, arguments: &[&str]) -> Command {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("docs/guides")
        .join(name);
    let scope = "plans:read plans:test operations:read events:read tenants:all";
    let mut command = Command::new("bash");
    command
        .arg(path)
        .args(arguments)
        .env("EMGATE_SERVER", world.gateway.url(""))
        .env("EMGATE_TOKEN", token(&json!({"sub": "guide", "scope": scope})))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_for_curl_tests_a_plan_and_tells_how_it_ended() {
    let world = World::start(&["--speed", "50"]).await;
    for (plan, code, told) in [
        (
            "ABC Company Failover Plan",
            0,
            "ABC Company Failover Plan: success",
        ),
        ("No Such Plan", 1, "there is no plan"),
    ] {
        let child = example(&world, "curl/failover.sh", &[plan])
            .spawn()
            .expect("bash");
        let output = tokio::task::spawn_blocking(move || output_of(child))
            .await
            .expect("an end");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(told), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_for_curl_follows_the_events() {
    let world = World::start(&["--speed", "50"]).await;
    let test = async |world: &World| {
        let path = format!("/api/v1/cloud-failover-plans/{}/test", crate::support::PLAN);
        let (_, operation) = world.post(&path, &json!({})).await;
        let path = format!("/api/v1/operations/{}", operation["id"].as_str().expect("an id"));
        world.until(&path, |body| body["state"] == "finished").await;
    };
    test(&world).await;
    let mut child = example(&world, "curl/follow.sh", &["start"])
        .spawn()
        .expect("bash");
    let stdout = child.stdout.take().expect("piped");
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    test(&world).await;
    let log = world.get("/api/v1/events?pageSize=100").await["items"].clone();
    let count = log.as_array().expect("items").len();
    let mut seen: Vec<Value> = Vec::new();
    eventually(
        "the events",
        async || {
            seen.extend(
                lines
                    .try_iter()
                    .map(|line| serde_json::from_str(&line).expect("JSON")),
            );
            seen.len()
        },
        |length| *length >= count,
    )
    .await;
    assert_eq!(Value::from(seen), log);
    child.kill().expect("killed");
    child.wait().expect("gone");
}

#[test]
fn guides_name_the_gateway_by_the_variable_of_the_client_commands() {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                read += 1;
                for other in ["EMGATE_URL", "$EMGATE/"] {
                    assert!(
                        !text.contains(other),
                        "{} has {other} in place of EMGATE_SERVER",
                        path.display()
                    );
                }
            }
        }
    }
    assert!(read > 40, "{read} files");
}
