//! The audit log over TCP: which requests leave a row and which do not, what no row holds, that anybody can recompute the
//! chain, that no change of an export goes unnoticed, and that neither row nor effect is there alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use emgate::bootstrap::audit::verify_file;
use emgate::domain::audit::AuditAction;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::support::client::Answer;
use crate::support::postgres::database;
use crate::support::schema_check::document;
use crate::support::world::World;
use crate::support::{Client, TestGateway, plan};
use crate::waiting::eventually;

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";

/// A gateway on SQLite, and one on PostgreSQL.
async fn on_both_stores() -> [TestGateway; 2] {
    let database = database().await;
    let postgres = TestGateway::builder().config(move |config| {
        config.store = emgate::store::config::Config {
            url: database.url,
            encryption_key_file: Some(database.key_file),
        };
    });
    [TestGateway::start().await, postgres.start().await]
}

async fn export(client: &Client) -> String {
    let answer = client.get("/api/v1/audit/export").send().await.expect(200);
    assert_eq!(answer.header("content-type"), "application/x-ndjson");
    answer.text
}

fn rows(export: &str) -> Vec<Value> {
    let read = |line| serde_json::from_str(line).expect("JSON");
    export.lines().map(read).collect()
}

async fn last(client: &Client) -> Value {
    rows(&export(client).await).pop().expect("a row")
}

/// Waits until the operation of an answer has ended, and its row is there.
async fn ended(test: &TestGateway, answer: &Answer) -> String {
    let id = answer.body["id"].as_str().expect("an operation").to_owned();
    let path = format!("/api/v1/operations/{id}");
    test.until(&path, |operation| operation["state"] == "finished")
        .await;
    id
}

/// What python3 says of an export.
fn recomputed(export: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/audit/recompute.py");
    let mut python = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut stdin = python.stdin.take().expect("stdin");
    let text = export.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = python.wait_with_output().expect("an end");
    writing.join().expect("no panic").expect("written");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// Operations that are asked by POST and change nothing.
const READS: &[&str] = &["previewWebhookEndpoint"];

/// Every operation of the document that is not a read: its place and its id.
fn writes() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, item) in document()["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            if method != "get"
                && let Some(id) = operation["operationId"].as_str().filter(|id| !READS.contains(id))
            {
                found.push((format!("{method} {path}"), id.to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_operation_of_the_document_that_is_not_a_read_is_an_action() {
    let named: BTreeMap<&str, AuditAction> = AuditAction::ALL
        .iter()
        .flat_map(|action| action.operations().iter().map(|operation| (*operation, *action)))
        .collect();
    let mut curated = BTreeSet::new();
    let mut mirrored = 0;
    for (place, id) in writes() {
        if place.contains(" /api/v1/em") {
            mirrored += 1;
            assert!(
                !named.contains_key(id.as_str()),
                "{place}: the mirror's writes are one action"
            );
        } else {
            assert!(
                named.contains_key(id.as_str()),
                "{place}: give {id} a row in the table of src/domain/audit.rs"
            );
            curated.insert(id);
        }
    }
    assert!(mirrored > 50, "the mirror is not in the document");
    let named: BTreeSet<String> = named.keys().map(|id| (*id).to_owned()).collect();
    assert_eq!(named, curated, "actions that name no operation of the document");
}

/// Makes one request of each kind, and what is to be told of each: action, outcome, status.
async fn a_run(test: &TestGateway) -> Vec<(&'static str, &'static str, Option<u16>)> {
    let client = &test.client;
    let mut expected = Vec::new();
    let mut add = |action, outcome, status| expected.push((action, outcome, status));
    let finished = "operation.finished";

    let tested = client
        .post(&plan("/test"))
        .header("idempotency-key", "k")
        .send()
        .await
        .expect(202);
    ended(test, &tested).await;
    add("plan.test", "accepted", Some(202));
    add(finished, "success", None);
    // A request that was made before changes nothing.
    client
        .post(&plan("/test"))
        .header("idempotency-key", "k")
        .send()
        .await
        .expect(200);
    let undone = client.post(&plan("/undo")).send().await.expect(202);
    ended(test, &undone).await;
    add("plan.undo", "accepted", Some(202));
    add(finished, "success", None);

    let list = client.get("/api/v1/failover-plans").send().await.expect(200);
    let on_premises = list.body["items"][0]["id"].as_str().expect("a plan").to_owned();
    let started = client.post(&format!("/api/v1/failover-plans/{on_premises}/start"));
    let started = started.send().await.expect(202);
    ended(test, &started).await;
    add("plan.start", "accepted", Some(202));
    add(finished, "success", None);

    let mut edited = client.get(&plan("")).send().await.expect(200).body;
    edited["preFailoverCommand"] = json!({"enabled": true, "command": "a.ps1"});
    let answer = client.request("PUT", &plan("")).json(&edited).send().await;
    assert!(answer.status < 300, "{}", answer.text);
    eventually(
        "the end of the edit",
        async || last(client).await,
        |row| row["action"] == finished,
    )
    .await;
    add("plan.update", "accepted", Some(202));
    add(finished, "success", None);

    let jobs = client.get("/api/v1/em/jobs").send().await.expect(200);
    let job = jobs.body["items"][0]["id"].as_str().expect("a job").to_owned();
    let answer = client
        .post(&format!("/api/v1/em/jobs/{job}?action=start"))
        .send()
        .await;
    assert!(answer.status < 300, "{}", answer.text);
    eventually(
        "the end of the job",
        async || last(client).await,
        |row| row["action"] == finished,
    )
    .await;
    add("em.write", "accepted", Some(202));
    add(finished, "success", None);

    let made = client
        .post(ENDPOINTS)
        .json(&json!({"url": "https://hooks.example/"}));
    let made = made.send().await.expect(201);
    let endpoint = format!("{ENDPOINTS}/{}", made.body["id"].as_str().expect("an id"));
    add("webhook.endpoint.create", "done", Some(201));
    let patch = json!({"enabled": false, "description": "x"});
    client
        .request("PATCH", &endpoint)
        .json(&patch)
        .send()
        .await
        .expect(200);
    add("webhook.endpoint.update", "done", Some(200));
    let test_delivery = client.post(&format!("{endpoint}/test")).send().await.expect(202);
    add("webhook.endpoint.test", "accepted", Some(202));
    client.get(&format!("{endpoint}/secret")).send().await.expect(200);
    add("webhook.endpoint.secret.read", "done", Some(200));
    client
        .post(&format!("{endpoint}/rotate-secret"))
        .send()
        .await
        .expect(200);
    add("webhook.endpoint.secret.rotate", "done", Some(200));
    let again = format!("{}/redeliver", test_delivery.header("location"));
    client.post(&again).send().await.expect(202);
    add("webhook.delivery.redeliver", "accepted", Some(202));
    let since = json!({"since": "2026-01-01T00:00:00Z"});
    let begun = client
        .post(&format!("{endpoint}/recover"))
        .json(&since)
        .send()
        .await
        .expect(202);
    add("webhook.endpoint.recover", "accepted", Some(202));
    let job = begun.header("location").to_owned();
    test.until(&job, |job| job["state"] == "finished").await;
    client
        .post(&format!("{endpoint}/replay"))
        .json(&since)
        .send()
        .await
        .expect(202);
    add("webhook.endpoint.replay", "accepted", Some(202));
    client.request("DELETE", &endpoint).send().await.expect(204);
    add("webhook.endpoint.delete", "done", Some(204));

    // Refused for lack of a right: each time. Without a token: once a minute.
    for _ in 0..2 {
        test.client_with(&["plans:read"])
            .post(&plan("/test"))
            .refused(403, "insufficient-scope")
            .await;
        add("request.forbidden", "refused", Some(403));
    }
    for _ in 0..2 {
        test.stranger()
            .get("/api/v1/operations")
            .refused(401, "unauthenticated")
            .await;
    }
    add("request.unauthenticated", "refused", Some(401));
    // Refused for another reason, or reads.
    client
        .post(ENDPOINTS)
        .json(&json!({"url": 7}))
        .refused(422, "invalid-request")
        .await;
    client
        .request("DELETE", &endpoint)
        .refused(404, "not-found")
        .await;
    client.get("/api/v1/operations").send().await.expect(200);
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_and_each_refusal_is_one_row_that_python_can_recompute() {
    for test in on_both_stores().await {
        let expected = a_run(&test).await;
        let export = export(&test.client).await;
        let rows = rows(&export);
        let told: Vec<(&str, &str, Option<u16>)> = rows
            .iter()
            .map(|row| {
                let text = |name: &str| row[name].as_str().expect(name);
                let status = row["status"].as_u64().map(|status| status as u16);
                (text("action"), text("outcome"), status)
            })
            .collect();
        // The second 401 of a run that lasts into the next minute is another row.
        let minute = told
            .iter()
            .filter(|row| row.0 == "request.unauthenticated")
            .count();
        let told = &told[..told.len() + 1 - minute];
        assert_eq!(told, expected, "{export}");
        assert_eq!(recomputed(&export), rows.len().to_string());
        let again = self::export(&test.client).await;
        assert_eq!(again, export, "reading tells nothing");

        let first = &rows[0];
        assert_eq!(first["actor"]["subject"], "tester");
        assert_eq!(first["actor"]["address"], "127.0.0.1");
        assert_eq!(first["target"], plan(""));
        assert!(first["tenant"]["name"].is_string(), "{first}");
        assert!(first["requestId"].is_string(), "{first}");
        assert_eq!(rows[1]["operationId"], first["operationId"]);
        assert_eq!(
            rows[1]["actor"],
            json!({"address": null, "issuer": null, "subject": null, "tokenId": null})
        );
        let stranger = rows.iter().find(|row| row["action"] == "request.unauthenticated");
        assert_eq!(stranger.expect("a row")["actor"]["subject"], Value::Null);
        pages_are_the_export(&test.client, &rows).await;
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_a_row_is_a_cursor_of_the_audit_log_alone() {
    let test = TestGateway::start().await;
    for number in ["7", "12345678", "1234567890"] {
        test.client
            .get(&format!("/api/v1/audit?after={number}"))
            .send()
            .await
            .expect(200);
        for list in ["events", "operations", "webhook-endpoints"] {
            let path = format!("/api/v1/{list}?after={number}");
            test.client.get(&path).refused(422, "invalid-request").await;
        }
    }
    test.stop().await;
}

/// The list, page by page and by its filters, tells the same rows.
async fn pages_are_the_export(client: &Client, rows: &[Value]) {
    let mut paged = Vec::new();
    let mut next = Some("/api/v1/audit?pageSize=3".to_owned());
    while let Some(path) = next {
        let page = client.get(&path).send().await.expect(200).body;
        paged.extend(page["items"].as_array().expect("items").clone());
        next = page["page"]["next"].as_str().map(ToOwned::to_owned);
    }
    assert_eq!(paged, rows);
    let operation = rows[0]["operationId"].as_str().expect("an operation");
    for (query, wanted) in [
        (format!("operationId={operation}"), vec![1, 2]),
        ("actor=tester&action=plan.undo,plan.start".to_owned(), vec![3, 5]),
        ("after=2&pageSize=1".to_owned(), vec![3]),
        ("before=3&pageSize=1".to_owned(), vec![2]),
        ("to=2020-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        let page = client
            .get(&format!("/api/v1/audit?{query}"))
            .send()
            .await
            .expect(200)
            .body;
        let found = page["items"].as_array().expect("items").iter();
        let found: Vec<u64> = found.filter_map(|row| row["sequence"].as_u64()).collect();
        assert_eq!(found, wanted, "{query}");
    }
    for (query, pointer) in [
        ("action=fly", "action"),
        ("operationId=7", "operationId"),
        ("after=x", "after"),
    ] {
        let answer = client
            .get(&format!("/api/v1/audit?{query}"))
            .refused(422, "invalid-request")
            .await;
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_whatever_field_is_in_no_row() {
    const SECRET: &str = "hunter2-planted";
    let signing = "whsec_aHVudGVyMi1wbGFudGVkLWh1bnRlcjItcGxhbnRlZA==";
    let test = TestGateway::start().await;
    let client = &test.client;
    let wanted = json!({
        "url": format!("https://user:{SECRET}@hooks.example/{SECRET}?token={SECRET}"),
        "description": SECRET,
        "secret": signing,
        "headers": {"X-Api-Key": SECRET},
    });
    let made = client.post(ENDPOINTS).json(&wanted).send().await.expect(201);
    let endpoint = format!("{ENDPOINTS}/{}", made.body["id"].as_str().expect("an id"));
    let patch =
        json!({"headers": {"X-Other": SECRET}, "url": format!("https://hooks.example/{SECRET}?k={SECRET}")});
    client
        .request("PATCH", &endpoint)
        .json(&patch)
        .send()
        .await
        .expect(200);
    let body = json!({
        "metadata": {"note": SECRET},
        "callback": {"url": format!("https://hooks.example/?t={SECRET}"), "secret": signing},
    });
    let tested = client
        .post(&plan("/test"))
        .header("idempotency-key", SECRET)
        .json(&body);
    ended(&test, &tested.send().await.expect(202)).await;
    let mut edited = client.get(&plan("")).send().await.expect(200).body;
    edited["preFailoverCommand"] = json!({"enabled": true, "command": format!("net use /password:{SECRET}")});
    client.request("PUT", &plan("")).json(&edited).send().await;
    let credentials = json!({"username": "a", "password": SECRET});
    client
        .post("/api/v1/em/credentials")
        .json(&credentials)
        .send()
        .await;
    let none = test.client_with(&[]);
    let query = format!("?note={SECRET}");
    none.post(&(plan("/test") + &query))
        .json(&body)
        .refused(403, "insufficient-scope")
        .await;
    none.request("DELETE", &format!("{ENDPOINTS}/{signing}"))
        .refused(403, "insufficient-scope")
        .await;
    let token = crate::support::token(&json!({"sub": SECRET, "scope": "", "exp": 1}));
    none.with_token(Some(token.clone()))
        .get("/api/v1/operations")
        .refused(401, "unauthenticated")
        .await;
    none.with_token(None)
        .get(&format!("/api/v1/operations/{token}"))
        .refused(401, "unauthenticated")
        .await;
    let export = export(client).await;
    assert!(rows(&export).len() > 6, "{export}");
    for planted in [SECRET, signing, &token, "eyJ"] {
        assert!(!export.contains(planted), "{planted} is told: {export}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_flipped_bytes_of_an_export_none_is_unnoticed() {
    let test = TestGateway::start().await;
    let client = &test.client;
    for name in ["a", "ä\u{7f}\"", "c"] {
        let wanted = json!({"url": "https://hooks.example/", "description": name});
        client.post(ENDPOINTS).json(&wanted).send().await.expect(201);
        test.client_with(&[])
            .post(&plan("/test"))
            .refused(403, "insufficient-scope")
            .await;
    }
    let export = export(client).await;
    test.stop().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("audit.jsonl");
    std::fs::write(&file, &export).expect("written");
    assert_eq!(verify_file(&file).expect("unbroken").rows, 6);
    let mut dice = 20_260_506u64;
    let mut draw = |below: usize| {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % below
    };
    let mut unnoticed = Vec::new();
    for _ in 0..1_000 {
        let mut bytes = export.clone().into_bytes();
        let at = draw(bytes.len());
        bytes[at] ^= 1 + draw(255) as u8;
        std::fs::write(&file, &bytes).expect("written");
        match verify_file(&file) {
            Ok(_) => unnoticed.push(at),
            Err(error) => assert!(error.is_break(), "{error}"),
        }
    }
    assert_eq!(unnoticed, Vec::<usize>::new());
    // Of lines too: left out, repeated, exchanged.
    let lines: Vec<&str> = export.lines().collect();
    for (changed, expected) in [
        (
            [0, 1, 3, 4, 5].as_slice(),
            "line 3: row 4 follows row 2: row 3 is missing",
        ),
        (
            &[0, 1, 1, 2, 3, 4, 5],
            "line 3: row 2 follows row 2: a row is repeated",
        ),
        (
            &[0, 2, 1, 3, 4, 5],
            "line 2: row 3 follows row 1: row 2 is missing",
        ),
    ] {
        let picked: Vec<&str> = changed.iter().map(|line| lines[*line]).collect();
        std::fs::write(&file, picked.join("\n") + "\n").expect("written");
        let error = verify_file(&file).expect_err("broken").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Changes the store behind the gateway's back.
async fn change(folder: &std::path::Path, sql: &'static str) {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", folder.join("emgate.db").display());
    let mut other = sqlx::AnyConnection::connect(&url)
        .await
        .expect("a second connection");
    sqlx::query(sql).execute(&mut other).await.expect("changed");
    other.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_is_not_done() {
    let test = TestGateway::start().await;
    change(test.directory(), "delete from audit_head").await;
    let client = &test.client;
    client
        .post(&plan("/test"))
        .refused(503, "store-unavailable")
        .await;
    let wanted = json!({"url": "https://hooks.example/"});
    client
        .post(ENDPOINTS)
        .json(&wanted)
        .refused(503, "store-unavailable")
        .await;
    test.client_with(&[])
        .post(&plan("/test"))
        .refused(503, "store-unavailable")
        .await;
    test.stranger()
        .get("/api/v1/operations")
        .refused(401, "unauthenticated")
        .await;
    for list in ["/api/v1/operations", ENDPOINTS, "/api/v1/audit"] {
        let page = client.get(list).send().await.expect(200).body;
        assert_eq!(page["items"], json!([]), "{list}");
    }
    let stats = test.sim_control(reqwest::Method::GET, "stats", Value::Null).await;
    let sent: Vec<&String> = stats["requests"]
        .as_object()
        .expect("counts")
        .keys()
        .filter(|line| line.starts_with("POST ") && line.contains("ailoverPlans"))
        .collect();
    assert!(sent.is_empty(), "{sent:?}");
    test.stop().await;
}

/// Runs `emgate audit verify` with these arguments: exit code, stdout, stderr.
fn verify(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_emgate"))
        .args(["audit", "verify"])
        .args(arguments)
        .env_clear()
        .output()
        .expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_names_the_first_break_and_tells_it_from_unusable_input() {
    let world = World::start(&["--speed", "50"]).await;
    for _ in 0..3 {
        let (status, _) = world
            .post(ENDPOINTS, &json!({"url": "https://hooks.example/"}))
            .await;
        assert_eq!(status, 201);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("emgate.toml");
    let database = world.folder().join("emgate.db");
    let text = format!(
        "[upstream]\nurl = \"https://em.example:9398\"\n[[upstream.accounts]]\nname = \"a\"\nusername = \"u\"\n\
         password = \"p\"\n[[auth.keys]]\nkind = \"hs256\"\nsecret = \"a secret of thirty-two bytes or more\"\n\
         [store]\nurl = \"sqlite://{}\"\n",
        database.display()
    );
    std::fs::write(&config, text).expect("written");
    let config = config.display().to_string();
    let of_store = ["--config", config.as_str()];

    let (code, _, stderr) = verify(&of_store);
    assert_eq!(code, Some(2), "a store that is in use: {stderr}");
    assert!(stderr.contains("--file"), "{stderr}");
    let store = world.folder().to_owned();
    // The simulator's process is kept; the folder is the world's and goes with it, so a copy is verified.
    let copy = folder.path().join("store");
    std::fs::create_dir(&copy).expect("a folder");
    let (status, _simulator) = {
        let kept = folder.path().join("kept");
        std::fs::create_dir(&kept).expect("a folder");
        change(&store, "pragma wal_checkpoint(truncate)").await;
        for name in ["emgate.db", "emgate.db.key"] {
            std::fs::copy(store.join(name), copy.join(name)).expect("copied");
        }
        world.stop_gateway()
    };
    assert!(status.success());
    let moved = std::fs::read_to_string(&config).expect("read");
    let moved = moved.replace(
        &database.display().to_string(),
        &copy.join("emgate.db").display().to_string(),
    );
    std::fs::write(&config, moved).expect("written");

    let (code, stdout, stderr) = verify(&of_store);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout, "rows 1 to 3 verified: the chain is unbroken\n");
    change(&copy, "update audit set actor_subject = 'me' where sequence = 2").await;
    let (code, stdout, stderr) = verify(&of_store);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(
        stderr.contains("row 2 was changed: its hash is not that of its content"),
        "{stderr}"
    );
    change(&copy, "update audit set details = '{' where sequence = 2").await;
    let (code, _, stderr) = verify(&of_store);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("after row 1: the row that follows cannot be read"),
        "{stderr}"
    );
    change(&copy, "delete from audit where sequence <= 2").await;
    let (code, _, stderr) = verify(&of_store);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains(
            "begins with row 3, and no anchor stands for what came before: rows 1 to 2 are missing"
        ),
        "{stderr}"
    );

    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").expect("written");
    let (empty, absent) = (
        empty.display().to_string(),
        folder.path().join("absent").display().to_string(),
    );
    for arguments in [
        ["--file", empty.as_str()],
        ["--file", absent.as_str()],
        ["--config", absent.as_str()],
    ] {
        let (code, stdout, stderr) = verify(&arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
    }
}

#[tokio::test]
async fn after_a_kill_each_acknowledged_operation_has_its_rows() {
    let mut world = World::start(&["--speed", "50"]).await;
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let (status, operation) = world.post_with_key(&plan("/test"), &format!("k{round}")).await;
        if status == 202 {
            acknowledged.push(operation["id"].as_str().expect("an id").to_owned());
        }
        world = world.crash_and_restart().await;
        let open = "/api/v1/operations?state=submitting,running";
        world.until(open, |page| page["items"] == json!([])).await;
        let sessions = "/api/v1/failover-sessions?state=working,starting,stopping";
        world.until(sessions, |page| page["items"] == json!([])).await;
    }
    assert!(acknowledged.len() >= 2, "{acknowledged:?}");
    let page = world.get("/api/v1/audit?pageSize=100").await;
    let rows = page["items"].as_array().expect("items");
    for id in &acknowledged {
        let of_it: Vec<&str> = rows
            .iter()
            .filter(|row| row["operationId"] == id.as_str())
            .filter_map(|row| row["action"].as_str())
            .collect();
        assert_eq!(of_it, ["plan.test", "operation.finished"], "{id}");
    }
    let mut sequences = rows.iter().filter_map(|row| row["sequence"].as_u64());
    assert!((1..=rows.len() as u64).all(|number| sequences.next() == Some(number)));
}
