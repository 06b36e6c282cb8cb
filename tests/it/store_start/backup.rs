//! Backups of an SQLite store: the steps of docs/operations.md, and what the log says where a part of one would be missed.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use sqlx::Connection as _;

use super::gateway;
use crate::support::PLAN;
use crate::support::world::World;

const URL: &str = "EMGATE_STORE__URL";

/// Where the documented commands have the store and its copy.
const STORE: &str = "/var/lib/emgate";
const COPY: &str = "/srv/backup/emgate";

/// The blocks of commands of the section on backups, for these folders.
fn documented(store: &Path, copy: &Path) -> Vec<String> {
    let text = std::fs::read_to_string("docs/operations.md").expect("the document");
    let (_, section) = text
        .split_once("## Backup and the encryption key")
        .expect("the section");
    let (section, _) = section.split_once("### If the key is lost").expect("its end");
    let blocks = section.split("```sh\n").skip(1);
    let commands = blocks.map(|block| block.split("```").next().expect("commands"));
    let here = |commands: &str| {
        commands
            .replace(STORE, &store.display().to_string())
            .replace(COPY, &copy.display().to_string())
    };
    commands.map(here).collect()
}

/// Runs commands; the services that they stop and start are the test's.
fn run(commands: &str) {
    let script = format!("set -eu\nsystemctl() {{ :; }}\n{commands}");
    let output = Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("it runs");
    assert!(
        output.status.success(),
        "{commands}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn the_documented_backup_of_a_killed_gateway_holds_its_operations() {
    let world = World::start(&["--speed", "10"]).await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let (status, operation) = world.post(&path, &json!({})).await;
    assert_eq!(status, 202, "{operation}");
    let folder = world.folder().to_owned();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let commands = documented(&folder, &elsewhere.path().join("copy"));
    let [backup, restore] = commands.as_slice() else {
        panic!("the document has a backup and a restoration: {commands:?}")
    };
    let between = async {
        let log = folder.join("emgate.db-wal").metadata().expect("a log");
        assert!(log.len() > 0, "the kill left something in the log");
        run(backup);
        // What the machine has got in the meantime.
        for name in ["emgate.db", "emgate.db-wal"] {
            std::fs::write(folder.join(name), "damaged").expect("written");
        }
        run(restore);
    };
    let ((), world) = world.crash_around(between).await;
    let id = operation["id"].as_str().expect("an id");
    let restored = world.get(&format!("/api/v1/operations/{id}")).await;
    assert_eq!(restored["id"], operation["id"], "{restored}");
}

#[tokio::test]
async fn a_log_that_stays_when_the_store_is_closed_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("emgate.db").display());
    let mut gateway = gateway(&[(URL, &url)]);
    gateway.wait_for_line("the store is open; requests are accepted");
    // Somebody looks into it: SQLite moves its log into the database when the last connection is closed.
    let mut reader = sqlx::SqliteConnection::connect(&url).await.expect("connected");
    let read = sqlx::query("select count(*) from meta")
        .execute(&mut reader)
        .await;
    read.expect("read");
    assert!(gateway.stop().success());
    let line = gateway.wait_for_line(
        "a part of the store stays in its write-ahead log; a backup without that file lacks it",
    );
    let file = line["file"].as_str().expect("a file");
    assert!(file.ends_with("emgate.db-wal"), "{line}");
    assert_eq!(line["level"], "WARN", "{line}");
    reader.close().await.expect("closed");
}

#[tokio::test]
async fn a_store_that_is_empty_though_its_key_is_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("emgate.db");
    let url = format!("sqlite://{}", file.display());
    let message =
        "the store is empty, and its key is older; if it was restored, its write-ahead log is missing";
    for round in 0..2 {
        let mut gateway = gateway(&[(URL, &url)]);
        gateway.wait_for_line("the store is open; requests are accepted");
        assert_eq!(gateway.log().contains(message), round == 1, "{round}");
        assert!(gateway.terminate().success());
        std::fs::remove_file(&file).expect("removed");
    }
}
