//! A slow start: the listener answers from the beginning, and work is accepted once the store is open.

use std::net::SocketAddr;

use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::migrate::Migrate as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{emgate, gateway};
use crate::support::postgres::{Database, database};
use crate::support::process::Process;
#[cfg(target_os = "linux")]
use crate::support::service_manager::ServiceManager;
use crate::support::{client, token};
use crate::waiting::eventually;

const URL: &str = "EMGATE_STORE__URL";
const KEY: &str = "EMGATE_STORE__ENCRYPTION_KEY_FILE";

fn gateway_on(database: &Database) -> Process {
    let key = database.key_file.display().to_string();
    gateway(&[(URL, &database.url), (KEY, &key)])
}

struct Answer {
    status: u16,
    pause: Option<String>,
    kind: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

async fn ask(process: &mut Process, method: &str, path: &str) -> Answer {
    let bearer = token(&json!({"sub": "portal", "scope": "operations:read tenants:all"}));
    let method = method.parse().expect("a method");
    let request = client::plain()
        .request(method, process.url(path))
        .bearer_auth(bearer);
    let answer = request.send().await;
    let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}; its log:\n{}", process.log()));
    let header = |name: &str| {
        let value = answer.headers().get(name);
        value.map(|value| value.to_str().expect("text").to_owned())
    };
    Answer {
        status: answer.status().as_u16(),
        pause: header("retry-after"),
        kind: header("content-type").unwrap_or_default(),
        body: answer.text().await.expect("a whole answer"),
    }
}

/// The process lives, is not ready for its migrations, and accepts no work.
async fn is_starting(process: &mut Process) {
    assert_eq!(process.listening["accepts"], "probes until the store is open");
    let health = ask(process, "GET", "/healthz").await;
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
    for path in ["/readyz", "/readyz?strict=true"] {
        let ready = ask(process, "GET", path).await;
        let body = ready.json();
        assert_eq!((ready.status, &body["status"]), (503, &json!("unavailable")));
        let check = &body["checks"][0];
        assert_eq!(
            (&check["name"], &check["status"]),
            (&json!("migrations"), &json!("failed"))
        );
        assert!(check["since"].is_string(), "{check}");
        assert_eq!(
            check["reason"],
            "the store is being opened and brought up to date"
        );
    }
    let metrics = ask(process, "GET", "/metrics").await;
    assert_eq!((metrics.status, metrics.body.contains("emgate_")), (200, true));
    assert_eq!(ask(process, "POST", "/healthz").await.status, 405);
    for (method, path) in [
        ("GET", "/api/v1/operations"),
        (
            "POST",
            "/api/v1/cloud-failover-plans/3f56fa52-c902-4655-9774-2022fde214d2/start",
        ),
        ("GET", "/docs"),
        ("GET", "/nowhere"),
    ] {
        let refused = ask(process, method, path).await;
        assert_eq!(refused.status, 503, "{method} {path}: {}", refused.body);
        assert_eq!(refused.kind, "application/problem+json");
        assert_eq!(refused.json()["code"], "store-unavailable");
        assert!(refused.pause.is_some(), "{method} {path} says when to come again");
    }
}

/// Waits until work is accepted; Enterprise Manager may be away.
async fn until_open(process: &mut Process) {
    let readiness = async || ask(process, "GET", "/readyz").await.json();
    eventually("the end of the migrations", readiness, |body| {
        let checks = body["checks"].as_array().expect("checks");
        let migrations = checks.iter().find(|check| check["name"] == "migrations");
        migrations.expect("the check")["status"] == "ok"
    })
    .await;
    let list = ask(process, "GET", "/api/v1/operations").await;
    assert_eq!(list.status, 200, "{}", list.body);
}

/// A connection that is kept open from one request to the next.
struct Kept(TcpStream);

impl Kept {
    async fn open(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.expect("connected"))
    }

    /// The first line of the answer; what follows is read as far as its body's end.
    async fn get(&mut self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: gateway.example\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.expect("sent");
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.to_ascii_lowercase();
                let length = length
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map(|length| length.trim().parse::<usize>().expect("a number"));
                if body.len() >= length.expect("a length") {
                    return head.lines().next().expect("a line").to_owned();
                }
            }
            let mut part = [0; 4096];
            let read = self.0.read(&mut part).await.expect("read");
            assert!(read > 0, "the connection was closed");
            bytes.extend_from_slice(&part[..read]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_waits_for_the_migrations_of_another_says_so() {
    let database = database().await;
    let mut other = sqlx::PgConnection::connect(&database.url)
        .await
        .expect("connected");
    other.lock().await.expect("the lock of migrations");
    let mut process = gateway_on(&database);
    is_starting(&mut process).await;
    let mut kept = Kept::open(process.addr).await;
    assert_eq!(kept.get("/healthz").await, "HTTP/1.1 200 OK");

    other.unlock().await.expect("let go");
    until_open(&mut process).await;
    assert_eq!(kept.get("/healthz").await, "HTTP/1.1 200 OK");
    assert_eq!(kept.get("/api/v1/operations").await, "HTTP/1.1 401 Unauthorized");
    assert!(process.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_waits_for_another_program_on_its_file_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("emgate.db").display());
    let mut other = sqlx::SqliteConnection::connect(&format!("{url}?mode=rwc"))
        .await
        .expect("connected");
    // An empty database has every migration before it, whichever the newest one is.
    for sql in ["pragma journal_mode = wal", "begin immediate"] {
        sqlx::raw_sql(sql).execute(&mut other).await.expect(sql);
    }
    let mut process = gateway(&[(URL, &url)]);
    is_starting(&mut process).await;
    sqlx::raw_sql("rollback")
        .execute(&mut other)
        .await
        .expect("let go");
    until_open(&mut process).await;
    assert!(process.terminate().success());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_is_asked_for_time_until_the_store_is_open() {
    let database = database().await;
    let mut other = sqlx::PgConnection::connect(&database.url)
        .await
        .expect("connected");
    other.lock().await.expect("the lock of migrations");
    let manager = ServiceManager::at_path();
    let (_, socket) = manager.variable().split_once('=').expect("a variable");
    let key = database.key_file.display().to_string();
    let mut process = gateway(&[(URL, &database.url), (KEY, &key), ("NOTIFY_SOCKET", socket)]);
    manager.until("EXTEND_TIMEOUT_USEC=");
    // A reload now is done and not told: its end would be taken for the end of the start.
    process.hangup();
    process.wait_for_line("SIGHUP: the files of server.tls are read again; other settings need a restart");
    is_starting(&mut process).await;
    other.unlock().await.expect("let go");
    let said = manager.until("READY=1");
    assert!(
        !said.iter().any(|message| message.contains("RELOADING")),
        "{said:?}"
    );
    assert!(process.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_asked_to_end_during_its_migrations_ends() {
    let database = database().await;
    let mut other = sqlx::PgConnection::connect(&database.url)
        .await
        .expect("connected");
    other.lock().await.expect("the lock of migrations");
    let mut process = gateway_on(&database);
    is_starting(&mut process).await;
    assert!(process.terminate().success());
    // The server has noticed that the waiting client is gone.
    let others = async || -> i64 {
        let others = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
        );
        others.fetch_one(&mut other).await.expect("asked")
    };
    eventually("no other session", others, |others| *others == 0).await;
    other.unlock().await.expect("let go");
    let mut next = gateway_on(&database);
    until_open(&mut next).await;
    assert!(next.terminate().success());
}

/// Notes every replica whose row was seen to be written.
const NOTE_REPLICAS: &str = "create table seen (id text);
    create function note_replica() returns trigger language plpgsql as $$ begin
        insert into seen values (new.id);
        return null;
    end $$;
    create trigger note_replica after insert on replicas for each row when (new.id is not null)
        execute function note_replica();";

#[tokio::test(flavor = "multi_thread")]
async fn a_check_beside_a_running_replica_joins_nothing() {
    let database = database().await;
    let mut process = gateway_on(&database);
    until_open(&mut process).await;
    let mut observer = sqlx::PgConnection::connect(&database.url)
        .await
        .expect("connected");
    sqlx::raw_sql(NOTE_REPLICAS)
        .execute(&mut observer)
        .await
        .expect("noted from now on");
    let folder = tempfile::tempdir().expect("a folder");
    let key = database.key_file.display().to_string();
    let run = emgate("check", folder.path(), &[(URL, &database.url), (KEY, &key)]);
    assert!(run.said.contains("opens and is up to date"), "{}", run.said);
    // The row of the running one is changed and not inserted, each second.
    let seen: i64 = sqlx::query_scalar("select count(*) from seen")
        .fetch_one(&mut observer)
        .await
        .expect("read");
    assert_eq!(seen, 0, "the check was seen as a replica");
    assert!(process.terminate().success());
}
