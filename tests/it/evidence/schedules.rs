//! Scheduled tests over TCP: when they run and when they do not, in whose name, once. The clock is moved by moving the due time
//! in the store.

use emgate::domain::plan::PlanKind;
use emgate::domain::policy::{Matching, PlanAction, Policies, Policy};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::report_of;
use crate::approvals::{approver, held_back};
use crate::event_examples::expect_documented;
use crate::support::postgres::database;
use crate::support::world::{World, stats};
use crate::support::{Client, PLAN, TestGateway, operation, plan};
use crate::tenants::confined;

const EVENTS: &str = "/api/v1/events?pageSize=100";

/// Changes a store behind the gateway's back.
pub async fn change(url: &str, sql: String) {
    sqlx::any::install_default_drivers();
    let mut other = sqlx::AnyConnection::connect(url)
        .await
        .expect("a second connection");
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .execute(&mut other)
        .await
        .expect("changed");
    other.close().await.expect("closed");
}

pub fn file(folder: &std::path::Path) -> String {
    format!("sqlite://{}", folder.join("emgate.db").display())
}

/// Makes the schedule due so many seconds ago; the due time.
async fn due_ago(url: &str, seconds: i64) -> i64 {
    let now = jiff::Timestamp::now().as_microsecond() / 60_000_000 * 60_000_000;
    let due = now - seconds * 1_000_000;
    change(url, format!("update plan_schedules set due_at = {due}")).await;
    due
}

fn hourly(skip_if_busy: bool) -> Value {
    json!({
        "cron": "0 * * * *", "timeZone": "Europe/Berlin", "skipIfBusy": skip_if_busy,
        "purpose": {"reason": "monthly test", "scenario": "loss of the site"},
    })
}

async fn set(client: &Client, body: &Value) -> Value {
    let set = client.request("PUT", &plan("/schedule")).json(body);
    set.send().await.expect(200).body
}

/// The events of this type, once there are so many.
async fn told(test: &TestGateway, kind: &str, count: usize) -> Vec<Value> {
    let of_kind = |log: &Value| -> Vec<Value> {
        let items = log["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().filter(|event| event["type"] == kind).collect()
    };
    let log = test.until(EVENTS, |log| of_kind(log).len() >= count).await;
    let events = of_kind(&log);
    events.iter().for_each(expect_documented);
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_set_shown_and_removed() {
    let test = TestGateway::start().await;
    let path = plan("/schedule");
    test.client
        .get(&path)
        .send()
        .await
        .expect_problem(404, "not-found");
    let before = test.client.get(&plan("")).send().await.expect(200);
    assert_eq!(before.body["schedule"], Value::Null);
    let made = set(&test.client, &hourly(true)).await;
    assert_eq!(made["cron"], "0 * * * *");
    assert_eq!(made["setBy"], "tester");
    assert_eq!(made["purpose"]["scenario"], "loss of the site");
    let next: jiff::Timestamp = made["nextAt"]
        .as_str()
        .expect("a time")
        .parse()
        .expect("a moment");
    assert_eq!(next.as_second() % 3600, 0);
    assert!(next > jiff::Timestamp::now());
    let read = test.client.get(&path).send().await.expect(200);
    assert_eq!(read.body, made);
    let mut real = hourly(true);
    real["purpose"]["kind"] = "realFailover".into();
    let refused = test.client.request("PUT", &path).json(&real);
    let refused = refused.refused(422, "invalid-request").await;
    assert_eq!(refused.pointers(), ["/purpose/kind"]);
    // Who read it before another changed it changes nothing.
    let guarded = |method: &str, tag: &str| test.client.request(method, &path).header("if-match", tag);
    let again = guarded("PUT", read.header("etag")).json(&hourly(true));
    let again = again.send().await.expect(200);
    assert_ne!(again.header("etag"), read.header("etag"));
    for method in ["PUT", "DELETE"] {
        let late = guarded(method, read.header("etag"));
        let late = if method == "PUT" {
            late.json(&hourly(false))
        } else {
            late
        };
        late.refused(412, "precondition-failed").await;
    }
    let made = again.body;
    let after = test.client.get(&plan("")).send().await.expect(200);
    assert_eq!(after.body["schedule"]["cron"], "0 * * * *");
    assert_ne!(before.header("etag"), after.header("etag"));
    // Written back as it was read, the plan is accepted, also by one who read it before it had a schedule.
    for read in [&after.body, &before.body] {
        let mut written = read.clone();
        if read["schedule"].is_null() {
            written.as_object_mut().expect("a plan").remove("schedule");
        }
        let edit = test.client.request("PUT", &plan("")).header("prefer", "wait=30");
        edit.json(&written).send().await.expect(200);
    }
    let programme = test
        .client
        .get("/api/v1/reports/recovery-tests")
        .send()
        .await
        .expect(200);
    let items = programme.body["items"].as_array().expect("plans");
    let own = items
        .iter()
        .find(|item| item["plan"]["id"] == PLAN)
        .expect("the plan");
    assert_eq!(own["nextTestAt"], made["nextAt"]);
    for _ in 0..2 {
        test.client.request("DELETE", &path).send().await.expect(204);
    }
    test.client
        .get(&path)
        .send()
        .await
        .expect_problem(404, "not-found");
    let audit = test
        .client
        .get("/api/v1/audit?action=plan.schedule,plan.schedule.remove")
        .send()
        .await
        .expect(200);
    let rows = audit.body["items"].as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    assert_eq!(
        (&rows[0]["target"], &rows[0]["details"]["cron"]),
        (&json!(path), &json!("0 * * * *"))
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_makes_no_sense_is_refused_by_its_place() {
    let test = TestGateway::start().await;
    let refused = async |body: Value, pointers: &[&str]| {
        let refused = test
            .client
            .request("PUT", &plan("/schedule"))
            .json(&body)
            .send()
            .await;
        let refused = refused.expect_problem(422, "invalid-request");
        assert_eq!(refused.pointers(), pointers, "{body}");
    };
    let (cron, zone) = ("0 3 1 * *", "UTC");
    refused(json!({"cron": "0 3 1 *", "timeZone": zone}), &["/cron"]).await;
    refused(json!({"cron": "0 0 30 2 *", "timeZone": zone}), &["/cron"]).await;
    refused(json!({"cron": "@daily", "timeZone": zone}), &["/cron"]).await;
    refused(json!({"cron": cron, "timeZone": "Mars/Olympus"}), &["/timeZone"]).await;
    refused(
        json!({"cron": cron, "timeZone": "../../etc/passwd"}),
        &["/timeZone"],
    )
    .await;
    refused(json!({"cron": cron}), &["/timeZone"]).await;
    refused(
        json!({"cron": cron, "timeZone": zone, "action": "start"}),
        &["/action"],
    )
    .await;
    refused(
        json!({"cron": cron, "timeZone": zone, "skipIfBusy": "no"}),
        &["/skipIfBusy"],
    )
    .await;
    let incident = json!({"incidentAt": "2026-01-01T00:00:00Z"});
    refused(
        json!({"cron": cron, "timeZone": zone, "purpose": incident}),
        &["/purpose/incidentAt"],
    )
    .await;
    let all = json!({"kind": "realFailover", "incidentAt": "2026-01-01T00:00:00Z"});
    refused(
        json!({"cron": "99 3 * * 1", "timeZone": "Mars/Olympus", "purpose": all}),
        &["/cron", "/timeZone", "/purpose/incidentAt", "/purpose/kind"],
    )
    .await;
    let missing = "/api/v1/cloud-failover-plans/0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01/schedule";
    for method in ["PUT", "DELETE"] {
        let request = test.client.request(method, missing);
        let request = if method == "PUT" {
            request.json(&hourly(true))
        } else {
            request
        };
        request.send().await.expect_problem(404, "not-found");
    }
    let reader = test.client_with(&["reports:read", "plans:test"]);
    let refused = reader
        .request("PUT", &plan("/schedule"))
        .json(&hourly(true))
        .send()
        .await;
    refused.expect_problem(403, "insufficient-scope");
    test.stop().await;
}

/// A due time that has come becomes one test, in the name of who set the schedule.
async fn runs_once(test: TestGateway, url: &str) {
    let ann = confined(&test, &["ABC Company"]);
    set(&ann, &hourly(false)).await;
    let due = due_ago(url, 600).await;
    let ran = test
        .until(&plan("/schedule"), |body| !body["last"].is_null())
        .await;
    let operation = format!(
        "/api/v1/operations/{}",
        ran["last"]["operationId"].as_str().expect("an id")
    );
    let next: jiff::Timestamp = ran["nextAt"].as_str().expect("a time").parse().expect("a moment");
    assert!(next.as_microsecond() > due);
    let done = test.until(&operation, |body| body["state"] == "finished").await;
    assert_eq!(done["action"], "test");
    assert_eq!(done["requestedBy"], format!("schedule:{PLAN}"));
    assert_eq!(done["onBehalfOf"], "ann");
    assert_eq!(done["reason"], "monthly test");
    let report = report_of(&test, &operation).await;
    assert_eq!(report["request"]["onBehalfOf"], "ann");
    assert_eq!(report["summary"]["facts"]["scenario_type"], "loss of the site");
    let rows = &report["provenance"]["audit"];
    assert_eq!(rows[0]["actor"]["subject"], format!("schedule:{PLAN}"));
    assert_eq!(rows[0]["details"]["onBehalfOf"], "ann");
    // Killed before the due time was done with, the gateway finds it due once more: it is the same operation.
    change(
        url,
        format!("update plan_schedules set due_at = {due}, last_run = null"),
    )
    .await;
    let again = test
        .until(&plan("/schedule"), |body| !body["last"].is_null())
        .await;
    assert_eq!(again["last"], ran["last"]);
    let all = test.client.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(all.body["items"].as_array().expect("operations").len(), 1);
    let counted = test.sim_control(Method::GET, "stats", Value::Null).await;
    let tests: Vec<(&String, &Value)> = counted["requests"]
        .as_object()
        .expect("requests")
        .iter()
        .filter(|(line, _)| line.starts_with("POST") && line.contains("cloudFailoverPlans"))
        .collect();
    assert_eq!(tests.len(), 1, "{tests:?}");
    assert_eq!(tests[0].1, 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_time_becomes_one_test_on_behalf_of_who_set_it() {
    let test = TestGateway::start().await;
    let url = file(test.directory());
    runs_once(test, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_a_due_time_becomes_one_test_as_well() {
    let database = database().await;
    let (url, key) = (database.url.clone(), database.key_file.clone());
    let of_test = url.clone();
    let builder = TestGateway::builder().config(move |config| {
        config.store.url = of_test;
        config.store.encryption_key_file = Some(key);
    });
    runs_once(builder.start().await, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_too_long_ago_is_told_and_not_run() {
    let test = TestGateway::start().await;
    set(&test.client, &hourly(false)).await;
    let due = due_ago(&file(test.directory()), 3 * 24 * 3600).await;
    let events = told(&test, "recovery.test.skipped", 1).await;
    let data = &events[0]["data"];
    assert_eq!(
        (&data["reason"], &data["plan"]["id"]),
        (&json!("missed"), &json!(PLAN))
    );
    let told_due: jiff::Timestamp = data["dueAt"].as_str().expect("a time").parse().expect("a moment");
    assert_eq!(told_due.as_microsecond(), due);
    let count = data["count"].as_u64().expect("a number");
    assert!((71..=73).contains(&count), "{count}");
    // The last full hour is caught up with.
    let ran = test
        .until(&plan("/schedule"), |body| !body["last"]["operationId"].is_null())
        .await;
    assert_eq!(ran["last"]["skipped"], Value::Null);
    let all = test.client.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(all.body["items"].as_array().expect("operations").len(), 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_plan_is_skipped_or_waited_for() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 1.0).start().await;
    let url = file(test.directory());
    let running = test.client.post(&plan("/test")).send().await.expect(202);
    let running = operation(&running);
    set(&test.client, &hourly(true)).await;
    due_ago(&url, 60).await;
    let events = told(&test, "recovery.test.skipped", 1).await;
    assert_eq!(events[0]["data"]["reason"], "busy");
    set(&test.client, &hourly(false)).await;
    due_ago(&url, 60).await;
    let waiting = test
        .until(&plan("/schedule"), |body| body["waiting"] == "busy")
        .await;
    assert_eq!(waiting["last"]["skipped"], "busy", "of the time before");
    assert_eq!(
        test.client.get(&running).send().await.expect(200).body["state"],
        "running"
    );
    test.client
        .post(&format!("{running}/cancel"))
        .send()
        .await
        .expect(202);
    test.until(&running, |body| body["state"] == "finished").await;
    let ran = test
        .until(&plan("/schedule"), |body| !body["last"]["operationId"].is_null())
        .await;
    assert_eq!(
        (&ran["waiting"], &ran["last"]["skipped"]),
        (&Value::Null, &Value::Null)
    );
    // One that is busy for longer than an hour is told with that reason.
    due_ago(&url, 3600 * 2).await;
    change(&url, "update plan_schedules set waiting = 'busy'".to_owned()).await;
    let events = told(&test, "recovery.test.skipped", 2).await;
    assert_eq!(events[1]["data"]["reason"], "busy");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_test_needs_the_approvals_of_any_other() {
    let tests = Policy {
        matching: Matching {
            kinds: vec![PlanKind::Cloud],
            actions: vec![PlanAction::Test],
            ..Matching::default()
        },
        reason_required: true,
        ..held_back(1)
    };
    let test = TestGateway::builder()
        .config(|config| config.policies = Policies(vec![tests]))
        .start()
        .await;
    let mut body = hourly(true);
    body["purpose"] = Value::Null;
    let own = approver(&test, "ann");
    let scope = "reports:read reports:write plans:approve plans:start tenants:all";
    let ann = test.client_as(&json!({"sub": "ann", "scope": scope}));
    set(&ann, &body).await;
    due_ago(&file(test.directory()), 60).await;
    let ran = test
        .until(&plan("/schedule"), |body| !body["last"].is_null())
        .await;
    let path = format!(
        "/api/v1/operations/{}",
        ran["last"]["operationId"].as_str().expect("an id")
    );
    let waiting = test.client.get(&path).send().await.expect(200).body;
    assert_eq!(waiting["state"], "awaitingApproval", "{waiting}");
    assert_eq!(waiting["reason"], "scheduled test");
    let refused = own.post(&format!("{path}/approve")).send().await;
    refused.expect_problem(403, "self-approval");
    let bob = approver(&test, "bob");
    bob.post(&format!("{path}/approve")).send().await.expect(202);
    test.until(&path, |body| body["state"] == "finished").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_denies_who_set_it_is_skipped() {
    let mut tests = held_back(0);
    tests.matching.actions = vec![PlanAction::Test];
    tests.callers.subjects = vec!["dr-lead".to_owned()];
    let test = TestGateway::builder()
        .config(|config| config.policies = Policies(vec![tests]))
        .start()
        .await;
    let url = file(test.directory());
    set(&test.client, &hourly(true)).await;
    due_ago(&url, 60).await;
    let events = told(&test, "recovery.test.skipped", 1).await;
    assert_eq!(events[0]["data"]["reason"], "policyDenied");
    let all: Vec<&str> = emgate::domain::access::Scope::ALL
        .iter()
        .map(|scope| scope.as_str())
        .collect();
    let lead = test.client_as(&json!({"sub": "dr-lead", "scope": all.join(" ")}));
    set(&lead, &hourly(true)).await;
    due_ago(&url, 60).await;
    test.until(&plan("/schedule"), |body| !body["last"]["operationId"].is_null())
        .await;
    test.stop().await;
}

#[tokio::test]
async fn killed_around_a_due_time_a_test_runs_once() {
    let mut world = World::start(&["--speed", "40"]).await;
    let put = reqwest::Client::new()
        .put(world.gateway.url(&plan("/schedule")))
        .bearer_auth(&world.token)
        .header("content-type", "application/json")
        .body(hourly(false).to_string());
    assert_eq!(put.send().await.expect("an answer").status(), 200);
    let url = file(world.folder());
    // Killed while it is due and nothing runs, then at once after it is due.
    let (_due, started) = world.crash_around(due_ago(&url, 300)).await;
    world = started.crash_and_restart().await;
    let ran = world
        .until(&plan("/schedule"), |body| !body["last"].is_null())
        .await;
    let path = format!(
        "/api/v1/operations/{}",
        ran["last"]["operationId"].as_str().expect("an id")
    );
    world.until(&path, |body| body["state"] == "finished").await;
    let all = world.get("/api/v1/operations").await;
    assert_eq!(all["items"].as_array().expect("operations").len(), 1, "{all}");
    let counted = stats(&world.simulator).await;
    let posts: u64 = counted["requests"]
        .as_object()
        .expect("requests")
        .iter()
        .filter(|(line, _)| line.starts_with("POST") && line.contains("cloudFailoverPlans"))
        .filter_map(|(_, count)| count.as_u64())
        .sum();
    assert_eq!(posts, 1, "{counted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_should_have_been_tested_is_told_once() {
    let test = TestGateway::builder()
        .sim(|sim| sim.plans = 4)
        .config(|config| config.reports.objectives.test_every_days = Some(30))
        .start()
        .await;
    let events = told(&test, "recovery.test.overdue", 4).await;
    assert_eq!(events.len(), 4);
    let data = &events[0]["data"];
    assert_eq!(
        (&data["testEveryDays"], &data["lastTestAt"]),
        (&json!(30), &Value::Null)
    );
    assert!(data["plan"]["name"].is_string());
    let abc = confined(&test, &["ABC Company"]);
    let seen = abc.get(EVENTS).send().await.expect(200);
    let seen = seen.body["items"].as_array().expect("events").len();
    assert_eq!(seen, 1, "of four tenants' plans one");
    test.stop().await;
}

#[tokio::test]
async fn the_end_of_the_audit_log_is_told_once_a_day() {
    let world = World::start(&["--speed", "40"]).await;
    let (status, made) = world.post(&plan("/test"), &json!({})).await;
    assert_eq!(status, 202, "{made}");
    let path = format!("/api/v1/operations/{}", made["id"].as_str().expect("an id"));
    world.until(&path, |body| body["state"] == "finished").await;
    let url = file(world.folder());
    let day = 24 * 3_600_000_000i64;
    let back = change(
        &url,
        format!("update daily_notices set told_at = told_at - {day}"),
    );
    let ((), world) = world.crash_around(back).await;
    let checkpoint = |log: &Value| {
        let items = log["items"].as_array().cloned().unwrap_or_default();
        items
            .into_iter()
            .find(|event| event["type"] == "audit.checkpoint")
    };
    let log = world.until(EVENTS, |log| checkpoint(log).is_some()).await;
    let event = checkpoint(&log).expect("told");
    expect_documented(&event);
    let data = event["data"].clone();
    let audit = world.get("/api/v1/audit?pageSize=100").await;
    let rows = audit["items"].as_array().expect("rows");
    let row = rows
        .iter()
        .find(|row| row["sequence"] == data["sequence"])
        .expect("the row");
    assert_eq!(row["hash"], data["hash"]);
}
