//! Reads a second of what is in memory or in the store, beside nginx with the same bytes in files, in one run: 64 connections
//! that are kept, rounds in turn, medians. The processor time of an answer is what other work on the machine changes least.
//!
//! `ROUNDS` and `SECONDS` change how long it takes. `BASE=program` measures another build of `emgate` in the same rounds.

pub mod bare;
mod callers;
mod nginx;

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::bare::Bare;
use self::callers::Asked;
use self::nginx::Nginx;
use super::world::{LAB, ready};
use crate::process::{self, Running, SECRET};

const PLANS: usize = 20;
const OPERATIONS: usize = 50;
const LIMIT: Duration = Duration::from_mins(2);

/// A gateway, and the processor time that it has used.
struct Subject {
    name: &'static str,
    addr: SocketAddr,
    processes: Vec<u32>,
    /// Requests a second and microseconds of processor time for each, by row and round.
    found: Vec<Vec<(f64, f64)>>,
}

impl Subject {
    fn new(name: &'static str, addr: SocketAddr, processes: Vec<u32>) -> Self {
        Self {
            name,
            addr,
            processes,
            found: Vec::new(),
        }
    }

    fn processor_micros(&self) -> f64 {
        self.processes
            .iter()
            .map(|id| callers::processor_micros(*id))
            .sum()
    }

    fn measure(&mut self, row: usize, asked: &Asked, time: Duration) {
        let before = self.processor_micros();
        let (count, took) = callers::ask(self.addr, asked, time);
        let used = self.processor_micros() - before;
        while self.found.len() <= row {
            self.found.push(Vec::new());
        }
        self.found[row].push((count as f64 / took.as_secs_f64(), used / count as f64));
    }
}

/// One line of the table.
struct Row {
    name: &'static str,
    path: String,
    headers: String,
    status: u16,
    body: Vec<u8>,
}

pub async fn measure() {
    let simulator = process::simulator(&["--plans", "20", "--speed", "600", "--history", "60"]);
    let directory = tempfile::tempdir().expect("a directory");
    let token = token("preparation");
    let Some(nginx) = Nginx::start(directory.path()) else {
        println!("reads: there is no nginx here (scripts/tools.sh nginx)");
        return;
    };
    let gateway = gateway(&simulator, &directory.path().join("this.db"), None).await;
    let base_program = std::env::var("BASE").ok();
    let base = match &base_program {
        Some(program) => {
            Some(self::gateway(&simulator, &directory.path().join("base.db"), Some(program)).await)
        }
        None => None,
    };
    for subject in std::iter::once(&gateway).chain(&base) {
        prepare(subject.addr, &token).await;
    }
    let rows = rows(gateway.addr, &token).await;
    for (place, row) in rows.iter().enumerate() {
        nginx.serve(place, &row.body);
    }
    let mut subjects = vec![Subject::new("emgate", gateway.addr, vec![gateway.id()])];
    subjects.extend(
        base.iter()
            .map(|base| Subject::new("base", base.addr, vec![base.id()])),
    );
    let bare = Bare::start();
    let mut empty = Subject::new("axum", bare.addr, vec![bare.id()]);
    let mut yardstick = Subject::new("nginx", nginx.addr, nginx.processes());
    let (rounds, time) = (
        number("ROUNDS", 5.0) as usize,
        Duration::from_secs_f64(number("SECONDS", 1.5)),
    );
    let warm = Duration::from_millis(200);
    for round in 0..rounds {
        for (place, (_, path)) in bare::ROWS.iter().enumerate() {
            let asked = Asked::new(path, "", 200);
            callers::ask(empty.addr, &asked, warm);
            empty.measure(place, &asked, time);
        }
        for (place, row) in rows.iter().enumerate() {
            // No subject may ask as often as this does altogether.
            let token = self::token(&format!("caller {place} of round {round}"));
            for subject in &mut subjects {
                let headers = format!("authorization: Bearer {token}\r\n{}", row.headers);
                let asked = Asked::new(&row.path, &headers, row.status);
                callers::ask(subject.addr, &asked, warm);
                subject.measure(place, &asked, time);
            }
            let asked = Asked::new(&format!("/{place}.json"), "", 200);
            callers::ask(yardstick.addr, &asked, warm);
            yardstick.measure(place, &asked, time);
        }
    }
    print(&rows, &subjects, &yardstick, rounds);
    println!("  what is below every answer: the library alone, and layers that do nothing");
    for (place, (name, _)) in bare::ROWS.iter().enumerate() {
        let [least, median, most] = spread(empty.found[place].iter().map(|found| found.0));
        let [_, micros, _] = spread(empty.found[place].iter().map(|found| found.1));
        println!(
            "  {name:<28}             {:<6} {median:>8.0} ({least:.0} to {most:.0})  {micros:>7.1} us",
            empty.name
        );
    }
}

fn print(rows: &[Row], subjects: &[Subject], yardstick: &Subject, rounds: usize) {
    println!(
        "reads a second over {} connections, medians of {rounds} rounds in turn (least to most), processor time of an answer, and the \
         share of nginx with the same bytes in a file",
        callers::CONNECTIONS
    );
    for (place, row) in rows.iter().enumerate() {
        let [_, of_nginx, _] = spread(yardstick.found[place].iter().map(|found| found.0));
        for subject in subjects.iter().chain([yardstick]) {
            let [least, median, most] = spread(subject.found[place].iter().map(|found| found.0));
            let [_, micros, _] = spread(subject.found[place].iter().map(|found| found.1));
            println!(
                "  {:<28} {:>7} B  {:<6} {median:>8.0} ({least:.0} to {most:.0})  {micros:>7.1} us  {:.2}",
                row.name,
                row.body.len(),
                subject.name,
                median / of_nginx
            );
        }
    }
}

fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

fn number(name: &str, default: f64) -> f64 {
    let given = std::env::var(name).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

async fn gateway(simulator: &Running, store: &std::path::Path, program: Option<&str>) -> Running {
    let upstream = format!("http://{}", simulator.addr);
    let store = format!("sqlite://{}", store.display());
    let mut settings = process::settings(&upstream, &store);
    settings.extend(LAB);
    let gateway = match program {
        None => process::start(&["serve"], &settings),
        Some(program) => process::start_program(program, &["serve"], &settings),
    };
    ready(&gateway).await;
    gateway
}

/// Runs enough tests of plans for a page of operations and of events.
async fn prepare(addr: SocketAddr, token: &str) {
    let plans = get(addr, "/api/v1/cloud-failover-plans?pageSize=100", token).await;
    let ids: Vec<String> = (plans["items"].as_array().expect("plans").iter())
        .map(|plan| plan["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), PLANS);
    let client = client();
    for id in ids.iter().cycle().take(OPERATIONS) {
        let url = format!("http://{addr}/api/v1/cloud-failover-plans/{id}/test");
        let request = client.post(url).bearer_auth(token).header("prefer", "wait=60");
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

async fn rows(addr: SocketAddr, token: &str) -> Vec<Row> {
    let plans = get(addr, "/api/v1/cloud-failover-plans", token).await;
    let plan = plans["items"][0]["id"].as_str().expect("an id").to_owned();
    let authorization = format!("authorization: Bearer {token}\r\n");
    let one = format!("/api/v1/cloud-failover-plans/{plan}");
    let mirrored = format!("/api/v1/em/cloud/cloudFailoverPlans/{plan}?format=Entity");
    let mut rows = Vec::new();
    let paths = [
        ("health, without a token", "/healthz".to_owned()),
        ("the caller (/me)", "/api/v1/me".to_owned()),
        ("plan", one.clone()),
        ("list of 20 plans", "/api/v1/cloud-failover-plans".to_owned()),
        (
            "list of 20 plans, gzip",
            "/api/v1/cloud-failover-plans?page=1".to_owned(),
        ),
        ("plan through the mirror", mirrored.clone()),
        (
            "plans through the mirror",
            "/api/v1/em/query?type=CloudFailoverPlan&format=Entities&pageSize=20".to_owned(),
        ),
        ("50 sessions", "/api/v1/failover-sessions".to_owned()),
        ("50 operations", "/api/v1/operations".to_owned()),
        ("50 events", "/api/v1/events".to_owned()),
    ];
    for (name, path) in paths {
        let headers = if name.ends_with("gzip") {
            "accept-encoding: gzip\r\n"
        } else {
            ""
        };
        let all = format!("{authorization}{headers}");
        let (status, _, body) = callers::once(addr, &Asked::new(&path, &all, 200));
        assert_eq!(status, 200, "{path}");
        rows.push(Row {
            name,
            path,
            headers: headers.to_owned(),
            status,
            body,
        });
    }
    for (name, path) in [("plan, 304", one), ("plan through the mirror, 304", mirrored)] {
        let (_, head, _) = callers::once(addr, &Asked::new(&path, &authorization, 200));
        let tag = (head.lines().find_map(|line| line.strip_prefix("etag: "))).expect("an entity tag");
        let headers = format!("if-none-match: {tag}\r\n");
        let body = Vec::new();
        rows.push(Row {
            name,
            path,
            headers,
            status: 304,
            body,
        });
    }
    rows
}

async fn get(addr: SocketAddr, path: &str, token: &str) -> Value {
    let request = client().get(format!("http://{addr}{path}")).bearer_auth(token);
    let answer = request.send().await.expect("an answer");
    serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(LIMIT).no_proxy();
    client.build().expect("a client")
}

fn token(subject: &str) -> String {
    let scopes =
        "plans:read plans:test sessions:read operations:read events:read webhooks:read em:read tenants:all";
    let claims = json!({ "sub": subject, "scope": scopes, "exp": Timestamp::now().as_second() + 36_000 });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token")
}
