//! Recovery evidence over TCP: objectives of plans, what reports say and by whose clock, what they survive, and that no
//! changed file is taken for what was signed.

mod files;
mod schedules;

use emgate::domain::evidence::objectives::Objectives;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::postgres::database;
use crate::support::receiver::WebhookReceiver;
use crate::support::schema_check::SchemaCheck;
use crate::support::scripted_server::ScriptedServer;
use crate::support::{PLAN, TestGateway, operation, plan};
use crate::waiting::eventually;

/// Runs an action to its end; the path of its operation.
async fn ended(test: &TestGateway, path: &str, body: &Value) -> String {
    let accepted = test.client.post(path).json(body).send().await.expect(202);
    let path = operation(&accepted);
    test.until(&path, |body| body["state"] == "finished").await;
    path
}

async fn report_of(test: &TestGateway, operation: &str) -> Value {
    let answer = test
        .client
        .get(&format!("{operation}/report"))
        .send()
        .await
        .expect(200);
    let schema = json!({"$ref": "#/components/schemas/RecoveryReport"});
    let faults = SchemaCheck::of_the_program().schema_faults(&schema, &answer.body);
    assert_eq!(faults, Vec::<String>::new());
    answer.body
}

async fn tested(test: &TestGateway) -> Value {
    let operation = ended(test, &plan("/test"), &json!({})).await;
    report_of(test, &operation).await
}

/// Sets objectives that a test of the simulator meets.
async fn set_objectives(test: &TestGateway) {
    let wanted = json!({"rtoSeconds": 3600, "rpoSeconds": 604_800});
    let set = test.client.request("PUT", &plan("/objectives")).json(&wanted);
    set.send().await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn objectives_are_set_whole_and_shown_with_the_plan() {
    let builder = TestGateway::builder().config(|config| {
        config.reports.objectives = Objectives {
            rto_seconds: Some(14_400),
            owner: Some("the default".to_owned()),
            ..Objectives::default()
        };
    });
    let test = builder.start().await;
    let nothing = json!({
        "rtoSeconds": 14_400, "rpoSeconds": null, "testEveryDays": null, "owner": "the default",
        "criticality": null, "biaReference": null, "perMachine": {},
    });
    let read = test.client.get(&plan("/objectives")).send().await.expect(200);
    assert_eq!(read.body, nothing);
    let wanted = json!({
        "rtoSeconds": 3600, "rpoSeconds": 86_400, "testEveryDays": 365, "owner": "ann", "criticality": "high",
        "biaReference": "BIA-1", "perMachine": {"filesrv03": {"rtoSeconds": 600, "rpoSeconds": null}},
    });
    let before = test.client.get(&plan("")).send().await.expect(200);
    let set = test
        .client
        .request("PUT", &plan("/objectives"))
        .json(&wanted)
        .send()
        .await
        .expect(200);
    assert_eq!(set.body, wanted);
    let after = test.client.get(&plan("")).send().await.expect(200);
    assert_eq!(after.body["objectives"], wanted);
    assert_ne!(
        before.header("etag"),
        after.header("etag"),
        "the plan's answer is another one"
    );
    let list = test
        .client
        .get("/api/v1/cloud-failover-plans")
        .send()
        .await
        .expect(200);
    let shown: Vec<&Value> = list.body["items"].as_array().expect("items").iter().collect();
    let own = shown.iter().find(|one| one["id"] == PLAN).expect("the plan");
    assert_eq!(own["objectives"], wanted);
    assert!(shown.iter().any(|one| one["objectives"] == nothing));
    // Written back as it was read, the plan is accepted; with other objectives it is not.
    let mut written = after.body.clone();
    written["preFailoverCommand"] = json!({"enabled": true, "command": "before.cmd"});
    test.client
        .request("PUT", &plan(""))
        .json(&written)
        .send()
        .await
        .expect(202);
    written["objectives"]["rtoSeconds"] = json!(1);
    let refused = test.client.request("PUT", &plan("")).json(&written).send().await;
    assert_eq!(
        refused.expect_problem(422, "invalid-request").pointers(),
        ["/objectives/rtoSeconds"]
    );
    let guarded = |tag: &str| {
        let request = test.client.request("PUT", &plan("/objectives"));
        request.header("if-match", tag).json(&json!({}))
    };
    guarded(read.header("etag"))
        .refused(412, "precondition-failed")
        .await;
    let known = test
        .client
        .get(&plan("/objectives"))
        .header("if-none-match", set.header("etag"))
        .send()
        .await;
    known.expect(304);
    let cleared = guarded(set.header("etag")).send().await.expect(200);
    assert_eq!(cleared.body, nothing);
    assert_eq!(cleared.header("etag"), read.header("etag"));
    let audit = test
        .client
        .get("/api/v1/audit?action=plan.objectives")
        .send()
        .await
        .expect(200);
    let rows = audit.body["items"].as_array().expect("rows");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["target"], plan("/objectives"));
    assert_eq!(rows[0]["details"]["rtoSeconds"], "3600");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objectives_that_make_no_sense_are_refused_by_their_place() {
    let test = TestGateway::start().await;
    for (body, pointer) in [
        (json!({"rtoSeconds": 0}), "/rtoSeconds"),
        (json!({"rtoSeconds": 1.5}), "/rtoSeconds"),
        (json!({"rpoSeconds": "1h"}), "/rpoSeconds"),
        (json!({"testEveryDays": 3651}), "/testEveryDays"),
        (json!({"owner": ""}), "/owner"),
        (json!({"owner": "a\u{0}b"}), "/owner"),
        (json!({"perMachine": {"a": {"rto": 1}}}), "/perMachine/a/rto"),
        (json!({"rto": 1}), "/rto"),
        (json!([]), ""),
    ] {
        let refused = test
            .client
            .request("PUT", &plan("/objectives"))
            .json(&body)
            .send()
            .await;
        assert_eq!(
            refused.expect_problem(422, "invalid-request").pointers(),
            [pointer],
            "{body}"
        );
    }
    let missing = "/api/v1/failover-plans/0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01/objectives";
    test.client
        .get(missing)
        .send()
        .await
        .expect_problem(404, "not-found");
    let reader = test.client_with(&["reports:read"]);
    let refused = reader
        .request("PUT", &plan("/objectives"))
        .json(&json!({}))
        .send()
        .await;
    refused.expect_problem(403, "insufficient-scope");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_has_a_report_as_soon_as_it_has_ended() {
    let mut receiver = WebhookReceiver::start().await;
    let builder = TestGateway::builder().config(|config| {
        config.webhooks.allow_http = true;
        config.webhooks.allow_private_networks = true;
    });
    let test = builder.start().await;
    let endpoint = json!({"url": receiver.url(), "eventTypes": ["recovery.report.ready"]});
    test.client
        .post("/api/v1/webhook-endpoints")
        .json(&endpoint)
        .send()
        .await
        .expect(201);
    set_objectives(&test).await;
    let purpose = json!({"reason": "yearly test", "scenario": "loss of the site", "participants": ["ann"]});
    let asked = json!({"purpose": purpose, "reason": "because"});
    let accepted = test
        .client
        .post(&plan("/test"))
        .json(&asked)
        .header("idempotency-key", "k-1");
    let path = operation(&accepted.send().await.expect(202));
    let early = test.client.get(&format!("{path}/report")).send().await;
    let early = early.expect_problem(409, "operation-running");
    assert_eq!(
        format!(
            "/api/v1/operations/{}",
            early.body["operationId"].as_str().expect("an id")
        ),
        path
    );
    test.until(&path, |body| body["state"] == "finished").await;
    let report = report_of(&test, &path).await;
    assert_eq!(report["schema"], "emgate/recovery-report/1");
    assert_eq!(report["summary"]["verdict"], "passed", "{}", report["findings"]);
    assert_eq!(report["summary"]["facts"]["scenario_type"], "loss of the site");
    assert_eq!(report["request"]["purpose"]["participants"], json!(["ann"]));
    assert_eq!(report["request"]["idempotencyKey"], "k-1");
    assert_eq!(report["request"]["by"], "tester");
    assert_eq!(report["plan"]["name"], "ABC Company Failover Plan");
    assert_eq!(report["objectives"]["rtoSeconds"], 3600);
    assert_eq!(report["return"]["cleanedUp"], "yes");
    let measures = &report["measures"];
    assert_eq!(
        (
            measures["rta"]["clock"].as_str(),
            measures["rta"]["unit"].as_str()
        ),
        (Some("em"), Some("ms"))
    );
    assert_eq!(measures["rto"]["verdict"], "met");
    assert_eq!(measures["machinesRecovered"], 2);
    assert_eq!(measures["handOver"]["clock"], "emAndGateway");
    assert!(measures["handOver"]["precision"].as_i64().expect("a precision") >= 1000);
    assert_eq!(measures["return"]["reason"], "testOnly");
    let machines = report["machines"].as_array().expect("machines");
    assert_eq!(machines.len(), 2);
    assert!(
        machines
            .iter()
            .all(|machine| machine["point"]["createdAt"].is_string())
    );
    let audit = report["provenance"]["audit"].as_array().expect("rows");
    let actions: Vec<&str> = audit.iter().filter_map(|row| row["action"].as_str()).collect();
    assert_eq!(actions, ["plan.test", "operation.finished"]);
    assert_eq!(report["integrity"]["auditFrom"], audit[0]["sequence"]);

    let event = receiver.next_of("recovery.report.ready").await;
    assert_eq!(
        event.json["data"]["report"]["digest"],
        report["integrity"]["digest"]
    );
    assert_eq!(event.json["data"]["report"]["link"], format!("{path}/report"));
    let session = report["execution"]["sessionId"].as_str().expect("a session");
    let same = format!("/api/v1/failover-sessions/{session}/report");
    let same = test.client.get(&same).send().await.expect(200);
    assert_eq!(same.body, report);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_answered_as_what_was_asked_for() {
    let test = TestGateway::start().await;
    let path = ended(&test, &plan("/test"), &json!({})).await + "/report";
    let get = async |query: &str, accept: &str| {
        let request = test
            .client
            .get(&format!("{path}{query}"))
            .header("accept", accept);
        request.send().await.expect(200)
    };
    for (query, accept, kind) in [
        ("", "*/*", "application/json"),
        (
            "",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/html; charset=utf-8",
        ),
        ("", "text/csv", "text/csv; charset=utf-8; header=present"),
        ("", "image/png", "application/json"),
        (
            "?format=csv",
            "text/html",
            "text/csv; charset=utf-8; header=present",
        ),
        ("?format=html&revision=1", "*/*", "text/html; charset=utf-8"),
    ] {
        let answer = get(query, accept).await;
        assert_eq!(answer.header("content-type"), kind, "{query} {accept}");
        assert_eq!(answer.header("vary").to_ascii_lowercase(), "accept", "{query}");
    }
    let json = get("", "*/*").await;
    let name = json.header("content-disposition");
    assert!(
        name.starts_with("attachment; filename=\"emgate-test-abc-company-failover-plan-20"),
        "{name}"
    );
    let page = get("?format=html", "*/*").await;
    assert!(page.text.contains("ABC Company Failover Plan") && !page.text.contains("<script>"));
    let table = get("?format=csv", "*/*").await;
    assert_eq!(table.text.lines().count(), 3);
    let again = test
        .client
        .get(&path)
        .header("if-none-match", json.header("etag"))
        .send()
        .await;
    assert_eq!(again.status, 304);
    for query in ["?format=pdf", "?revision=0", "?revision=x", "?rev=1"] {
        let refused = test.client.get(&format!("{path}{query}")).send().await;
        refused.expect_problem(422, "invalid-request");
    }
    let refused = test.client.get(&format!("{path}?revision=x")).send().await;
    assert!(
        refused
            .text
            .contains("`x` is not a whole number from 1 to 1000000"),
        "{}",
        refused.text
    );
    // From the future to now, too.
    for backwards in [
        "from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=9000-01-01T00:00:00Z",
    ] {
        let path = format!("/api/v1/reports/recovery-tests?{backwards}");
        let refused = test.client.get(&path).send().await;
        assert_eq!(
            refused.expect_problem(422, "invalid-request").pointers(),
            ["from"]
        );
    }
    let real = json!({"purpose": {"kind": "realFailover"}});
    let refused = test.client.post(&plan("/test")).json(&real).send().await;
    assert_eq!(
        refused.expect_problem(422, "invalid-request").pointers(),
        ["/purpose/kind"]
    );
    let missing = test.client.get(&format!("{path}?revision=2")).send().await;
    missing.expect_problem(404, "not-found");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_em_removes_after_the_end_is_in_the_report() {
    let test = TestGateway::start().await;
    let seconds = json!({"planId": PLAN, "seconds": 200, "result": "success"});
    test.sim_control(Method::POST, "outcomes", seconds).await;
    let accepted = test.client.post(&plan("/test")).send().await.expect(202);
    let path = operation(&accepted);
    let read = async || {
        let stats = test.sim_control(Method::GET, "stats", Value::Null).await;
        let requests = stats["requests"].as_object().expect("requests").clone();
        let points = requests
            .keys()
            .filter(|line| line.contains("/cloud/vmReplicaPoints/"))
            .count();
        Value::from(points)
    };
    eventually("the points are read while the session runs", read, |points| {
        *points == 2
    })
    .await;
    let running = test.client.get(&path).send().await.expect(200);
    assert_eq!(running.body["state"], "running");
    test.sim_control(Method::DELETE, "points", Value::Null).await;
    test.until(&path, |body| body["state"] == "finished").await;
    let report = report_of(&test, &path).await;
    assert!(
        report["measures"]["rpa"]["value"].is_i64(),
        "{}",
        report["measures"]["rpa"]
    );
    assert_eq!(report["return"]["cleanedUp"], "unknown");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_failovers_at_once_all_is_read_and_each_point_once() {
    const PLANS: usize = 60;
    // More machines than evidence is kept of together.
    const MACHINES: usize = 4;
    let test = TestGateway::builder()
        .sim(|sim| (sim.plans, sim.vms) = (PLANS, MACHINES))
        .start()
        .await;
    let page = test
        .client
        .get("/api/v1/cloud-failover-plans?pageSize=100")
        .send()
        .await
        .expect(200);
    for plan in page.body["items"].as_array().expect("plans") {
        let begun = json!({"planId": plan["id"], "action": "test", "seconds": 1_000_000});
        test.sim_control(Method::POST, "failovers", begun).await;
    }
    let read = async || {
        let stats = test.sim_control(Method::GET, "stats", Value::Null).await;
        let requests = stats["requests"].as_object().expect("requests").clone();
        let of = |path: &str| -> Vec<Value> {
            let lines = requests.iter().filter(|(line, _)| line.contains(path));
            lines.map(|(_, count)| count.clone()).collect()
        };
        json!([
            of("/cloud/vmReplicaPoints/"),
            of("/cloud/cloudFailoverPlans/").len()
        ])
    };
    let found = eventually("all points and plans are read", read, |read| {
        let points = read[0].as_array().map_or(0, Vec::len);
        points >= PLANS * MACHINES && read[1].as_u64() >= Some(PLANS as u64)
    })
    .await;
    let points = found[0].as_array().expect("points");
    assert_eq!(points.len(), PLANS * MACHINES);
    assert!(points.iter().all(|count| count == 1), "{points:?}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn points_that_were_gone_before_leave_a_reason() {
    let test = TestGateway::start().await;
    set_objectives(&test).await;
    test.sim_control(Method::DELETE, "points", Value::Null).await;
    let report = tested(&test).await;
    assert_eq!(report["measures"]["rpa"]["reason"], "pointGone");
    assert_eq!(report["measures"]["rpa"]["verdict"], "notMeasured");
    assert_eq!(report["summary"]["verdict"], "notMeasured");
    let gaps = report["provenance"]["gaps"].to_string();
    assert!(gaps.contains("2 restore points were removed"), "{gaps}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_an_hour_off_changes_no_recovery_time() {
    let test = TestGateway::builder()
        .sim(|sim| sim.clock_skew = 3600)
        .start()
        .await;
    let report = tested(&test).await;
    let rta = report["measures"]["rta"]["value"].as_i64().expect("a value");
    assert!((1..60_000).contains(&rta), "{rta}");
    let ahead = report["execution"]["clockDifference"]["aheadMs"]
        .as_i64()
        .expect("a value");
    assert!((3_590_000..=3_601_000).contains(&ahead), "{ahead}");
    let hand_over = report["measures"]["handOver"]["value"].as_i64().expect("a value");
    assert!(hand_over.abs() < 60_000, "{hand_over}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_failed_says_which_machine_and_why() {
    let test = TestGateway::start().await;
    set_objectives(&test).await;
    let outcome = json!({"planId": PLAN, "result": "failed", "failureMessage": "no free address"});
    test.sim_control(Method::POST, "outcomes", outcome).await;
    let report = tested(&test).await;
    assert_eq!(report["summary"]["verdict"], "failed");
    assert_eq!(report["measures"]["rta"]["reason"], "notRecovered");
    assert_eq!(report["measures"]["machinesRecovered"], 1);
    let findings = report["findings"].as_array().expect("findings");
    let failed = findings.iter().find(|finding| finding["code"] == "machineFailed");
    let failed = failed.expect("a finding");
    assert_eq!(failed["machine"], "filesrv04");
    assert_eq!(failed["detail"], "no free address");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_started_elsewhere_has_a_report() {
    let test = TestGateway::start().await;
    let begun = json!({"planId": PLAN, "action": "test", "seconds": 150});
    let begun = test.sim_control(Method::POST, "failovers", begun).await;
    let session = begun["sessionId"].as_str().expect("an id");
    let path = format!("/api/v1/failover-sessions/{session}");
    test.until(&path, |body| body["state"] == "working").await;
    let early = test.client.get(&format!("{path}/report")).send().await;
    early.expect_problem(409, "operation-running");
    let asked = async || test.client.get(&format!("{path}/report")).send().await;
    let report = eventually(
        "the report",
        async || asked().await.body,
        |body| body["schema"].is_string(),
    )
    .await;
    assert_eq!(report["request"], Value::Null);
    assert_eq!(report["execution"]["action"], Value::Null);
    assert_eq!(report["summary"]["kind"], "unknown");
    assert_eq!(report["plan"]["id"], PLAN);
    assert_eq!(report["measures"]["endToEnd"]["reason"], "noOperation");
    assert!(report["measures"]["rta"]["value"].is_i64());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_lost_has_a_report() {
    let test = TestGateway::start().await;
    let begun = json!({"planId": PLAN, "action": "test", "seconds": 100_000});
    let begun = test.sim_control(Method::POST, "failovers", begun).await;
    let session = begun["sessionId"].as_str().expect("an id");
    let events = "/api/v1/events?pageSize=100";
    let has = |kind: &'static str| {
        move |body: &Value| {
            body["items"]
                .as_array()
                .is_some_and(|items| items.iter().any(|one| one["type"] == kind))
        }
    };
    test.until(events, has("failover.session.started")).await;
    test.sim_control(Method::DELETE, &format!("failovers?id={session}"), Value::Null)
        .await;
    test.until(events, has("recovery.report.ready")).await;
    let path = format!("/api/v1/failover-sessions/{session}/report");
    let report = test.client.get(&path).send().await.expect(200).body;
    assert_eq!(report["execution"]["state"], "lost");
    assert_eq!(report["summary"]["verdict"], "failed");
    assert_eq!(report["findings"][0]["code"], "sessionLost");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_undo_of_a_failover_makes_a_new_revision() {
    let test = TestGateway::start().await;
    let started = ended(&test, &plan("/start"), &json!({})).await;
    let first = report_of(&test, &started).await;
    assert_eq!(first["summary"]["kind"], "realFailover");
    assert_eq!(first["measures"]["heldAgainstRto"], "endToEnd");
    assert_eq!(first["measures"]["return"]["reason"], "stillFailedOver");
    ended(&test, &plan("/undo"), &json!({})).await;
    let path = format!("{started}/report");
    let second = test
        .until(&path, |report| report["report"]["revision"] == 2)
        .await;
    assert!(second["measures"]["return"]["value"].is_i64());
    assert_eq!(second["measures"]["onReplica"]["clock"], "emAndGateway");
    let kept = test
        .client
        .get(&format!("{path}?revision=1"))
        .send()
        .await
        .expect(200);
    assert_eq!(kept.body, first);
    test.stop().await;
}

/// A gateway on PostgreSQL.
async fn on_postgresql() -> TestGateway {
    let database = database().await;
    let builder = TestGateway::builder().config(move |config| {
        config.store = emgate::store::config::Config {
            url: database.url,
            encryption_key_file: Some(database.key_file),
        };
    });
    builder.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn failovers_are_reported_alike_on_postgresql() {
    let test = on_postgresql().await;
    let started = ended(&test, &plan("/start"), &json!({})).await;
    let first = report_of(&test, &started).await;
    assert!(first["measures"]["rta"]["value"].is_i64());
    ended(&test, &plan("/undo"), &json!({})).await;
    let path = format!("{started}/report");
    let second = test
        .until(&path, |report| report["report"]["revision"] == 2)
        .await;
    assert!(second["measures"]["return"]["value"].is_i64());
    let plans = test.client.get("/api/v1/failover-plans").send().await.expect(200);
    let id = plans.body["items"][0]["id"].as_str().expect("a plan");
    let on_premises = format!("/api/v1/failover-plans/{id}/start");
    let report = report_of(&test, &ended(&test, &on_premises, &json!({})).await).await;
    assert!(report["measures"]["rta"]["value"].is_i64());
    let begun = json!({"planId": PLAN, "action": "test", "seconds": 50});
    let begun = test.sim_control(Method::POST, "failovers", begun).await;
    let session = begun["sessionId"].as_str().expect("an id");
    let path = format!("/api/v1/failover-sessions/{session}/report");
    let foreign = test.until(&path, |body| body["schema"].is_string()).await;
    assert_eq!(foreign["plan"]["id"], PLAN);
    let note = test
        .client
        .post(&format!("{started}/notes"))
        .json(&json!({"text": "x"}));
    note.send().await.expect(201);
    let third = format!("{started}/report");
    let third = test
        .until(&third, |report| report["report"]["revision"] == 3)
        .await;
    assert_eq!(third["notes"][0]["text"], "x");
    let programme = test
        .client
        .get("/api/v1/reports/recovery-tests")
        .send()
        .await
        .expect(200);
    assert_eq!(programme.body["population"], 6, "of both kinds");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_on_premises_failover_is_measured_by_its_task() {
    let test = TestGateway::start().await;
    let plans = test.client.get("/api/v1/failover-plans").send().await.expect(200);
    let id = plans.body["items"][0]["id"].as_str().expect("a plan");
    let path = ended(&test, &format!("/api/v1/failover-plans/{id}/start"), &json!({})).await;
    let report = report_of(&test, &path).await;
    assert_eq!(report["measures"]["rta"]["clock"], "gateway");
    assert!(report["measures"]["rta"]["precision"].is_i64());
    assert_eq!(report["machines"][0]["rta"]["reason"], "emHasNoSession");
    assert_eq!(report["measures"]["machinesRecovered"], Value::Null);
    test.client.get("/api/v1/operations").send().await.expect(200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn later_tests_are_compared_with_those_before() {
    let test = TestGateway::start().await;
    let first = tested(&test).await;
    assert_eq!(first["comparison"]["tests"], json!([]));
    assert_eq!(first["comparison"]["planChanged"], Value::Null);
    let mut written = test.client.get(&plan("")).send().await.expect(200).body;
    written["postFailoverCommand"] = json!({"enabled": true, "command": "after.cmd"});
    let edit = test
        .client
        .request("PUT", &plan(""))
        .json(&written)
        .send()
        .await
        .expect(202);
    test.until(&operation(&edit), |body| body["state"] == "finished")
        .await;
    let second = tested(&test).await;
    let compared = &second["comparison"];
    assert_eq!(compared["tests"][0]["reportId"], first["report"]["id"]);
    assert_eq!(compared["previousRtaMs"], first["measures"]["rta"]["value"]);
    assert!(compared["changePercent"].is_i64());
    assert_eq!(
        (&compared["planChanged"], &compared["changes"]),
        (&json!(true), &json!(["scripts"]))
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programme_of_a_tenant_that_nobody_knows_is_refused() {
    let test = TestGateway::start().await;
    let programme = |tenant: &str| {
        let tenant = tenant.replace(' ', "%20");
        format!("/api/v1/reports/recovery-tests?tenant={tenant}")
    };
    let of_plan = test.client.get(&plan("")).send().await.expect(200).body;
    let own = &of_plan["tenant"];
    let everything = test.client.get("/api/v1/reports/recovery-tests").send().await;
    let plans = everything.expect(200).body["items"].clone();
    let has_plans = |tenant: &Value| {
        let mut plans = plans.as_array().expect("plans").iter();
        plans.any(|item| item["plan"]["tenant"]["id"] == tenant["id"])
    };
    let all = "/api/v1/em/cloud/tenants?format=Entity";
    let all = test.client.get(all).send().await.expect(200).body;
    let mut idle = all["items"].as_array().expect("tenants").iter();
    let idle = idle.find(|tenant| !has_plans(tenant));
    let idle = idle.expect("a tenant without plans");
    for (tenant, population) in [(own, 1), (idle, 0)] {
        for known in [&tenant["id"], &tenant["name"]] {
            let answer = test.client.get(&programme(known.as_str().expect("a text")));
            let answer = answer.send().await.expect(200);
            assert_eq!(answer.body["population"], population, "{known}: {}", answer.text);
        }
    }
    let refused = |answer: Answer| {
        let answer = answer.expect(422);
        assert_eq!(answer.pointers(), ["tenant"], "{}", answer.text);
        answer.body["errors"].to_string()
    };
    for unknown in ["ABC", "abc company", "00000000-0000-0000-0000-000000000001", ""] {
        refused(test.client.get(&programme(unknown)).send().await);
    }
    // What is another's is told from nothing.
    let confined =
        test.client_as(&json!({"sub": "ann", "scope": "reports:read", "tenants": ["Nobody's", "X"]}));
    let of_own = confined.get(&programme("X")).send().await.expect(200);
    assert_eq!(of_own.body["population"], 0);
    let [other, nothing] = [own["name"].as_str().expect("a name"), "No such tenant"].map(&programme);
    let other = refused(confined.get(&other).send().await);
    assert_eq!(other, refused(confined.get(&nothing).send().await));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programme_has_every_plan_also_those_never_tested() {
    let test = TestGateway::builder().sim(|sim| sim.plans = 250).start().await;
    let wanted = json!({"testEveryDays": 30});
    test.client
        .request("PUT", &plan("/objectives"))
        .json(&wanted)
        .send()
        .await
        .expect(200);
    let path = "/api/v1/reports/recovery-tests?kind=cloud";
    let before = test.client.get(path).send().await.expect(200).body;
    assert_eq!(
        (&before["population"], &before["tested"], &before["overdue"]),
        (&json!(250), &json!(0), &json!(1))
    );
    let report = tested(&test).await;
    let after = test.client.get(path).send().await.expect(200).body;
    let schema = json!({"$ref": "#/components/schemas/RecoveryProgramme"});
    assert_eq!(
        SchemaCheck::of_the_program().schema_faults(&schema, &after),
        Vec::<String>::new()
    );
    let items = after["items"].as_array().expect("items");
    assert_eq!(
        (items.len(), &after["tested"], &after["overdue"]),
        (250, &json!(1), &json!(0))
    );
    let own = items
        .iter()
        .find(|item| item["plan"]["id"] == PLAN)
        .expect("the plan");
    assert_eq!(own["lastTest"]["reportId"], report["report"]["id"]);
    assert_eq!(
        (&own["tests"], &own["daysSince"], &own["overdue"]),
        (&json!(1), &json!(0), &json!(false))
    );
    let table = test
        .client
        .get(&format!("{path}&format=csv"))
        .send()
        .await
        .expect(200);
    assert_eq!(table.text.lines().count(), 251);
    // Whether it is a test, Enterprise Manager does not tell of what was started elsewhere.
    let begun = json!({"planId": PLAN, "action": "test", "seconds": 5});
    let begun = test.sim_control(Method::POST, "failovers", begun).await;
    let session = begun["sessionId"].as_str().expect("an id");
    let elsewhere = format!("/api/v1/failover-sessions/{session}/report");
    test.until(&elsewhere, |body| body["schema"].is_string()).await;
    let again = test.client.get(path).send().await.expect(200).body;
    let items = again["items"].as_array().expect("items").iter();
    let own: Vec<_> = items.filter(|item| item["plan"]["id"] == PLAN).collect();
    assert_eq!(
        (
            &own[0]["tests"],
            &own[0]["startedElsewhere"],
            &own[0]["lastTest"]["reportId"]
        ),
        (&json!(1), &json!(1), &report["report"]["id"])
    );
    let later = test
        .client
        .get(&format!("{path}&to=2020-01-01T00:00:00Z"))
        .send()
        .await
        .expect(200);
    assert_eq!(later.body["tested"], 0);
    let one = test
        .client
        .get(&format!("{path}&tenant=ABC%20Company"))
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&one.body["population"], &one.body["tenants"]),
        (&json!(63), &json!(["ABC Company"]))
    );
    let confined =
        test.client_as(&json!({"sub": "ann", "scope": "reports:read", "tenants": ["ABC Company"]}));
    let own = confined.get(path).send().await.expect(200);
    assert_eq!(
        (&own.body["population"], &own.body["tenants"]),
        (&json!(63), &json!(["ABC Company"]))
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_record_makes_new_revisions() {
    let test = TestGateway::start().await;
    let path = ended(&test, &plan("/test"), &json!({})).await;
    let first = report_of(&test, &path).await;
    let record = async |what: &str, body: Value| {
        let answer = test
            .client
            .post(&format!("{path}/{what}"))
            .json(&body)
            .send()
            .await
            .expect(201);
        assert_eq!(answer.header("location"), format!("{path}/report"));
        answer.body
    };
    let at = first["execution"]["endedAt"].clone();
    record(
        "checks",
        json!({"name": "orders", "result": "pass", "at": at, "evidence": {"url": "https://wiki.example"}}),
    )
    .await;
    record(
        "checks",
        json!({"name": "mail", "machine": "filesrv03", "result": "fail"}),
    )
    .await;
    record("notes", json!({"text": "<b>called</b> the storage team"})).await;
    let finding =
        json!({"title": "pool too small", "severity": "error", "owner": "bob", "due": "2026-03-01"});
    let finding = record("findings", finding).await;
    let place = format!("{path}/findings/{}", finding["id"].as_str().expect("an id"));
    let closed = test
        .client
        .request("PATCH", &place)
        .json(&json!({"state": "closed"}))
        .send()
        .await;
    assert_eq!(closed.expect(200).body["state"], "closed");
    let report = report_of(&test, &path).await;
    assert!(report["report"]["revision"].as_i64() > Some(1));
    assert_eq!(report["checks"].as_array().map(Vec::len), Some(2));
    assert_eq!(report["measures"]["application"]["clock"], "emAndCaller");
    assert!(report["measures"]["application"]["value"].is_i64());
    assert_eq!(report["notes"][0]["by"], "tester");
    let failed: Vec<&Value> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["code"] == "checkFailed")
        .collect();
    assert_eq!(
        (failed.len(), &failed[0]["machine"], &failed[0]["detail"]),
        (1, &json!("filesrv03"), &json!("mail"))
    );
    let own = report["findings"]
        .as_array()
        .expect("findings")
        .last()
        .expect("one");
    assert_eq!(
        (&own["source"], &own["state"], &own["owner"], &own["closedBy"]),
        (
            &json!("person"),
            &json!("closed"),
            &json!("bob"),
            &json!("tester")
        )
    );
    assert_eq!(report["summary"]["facts"]["remediation_actions_count"], 1);
    let rows = report["provenance"]["audit"].as_array().expect("rows").iter();
    let actions: Vec<&str> = rows.filter_map(|row| row["action"].as_str()).collect();
    assert_eq!(
        actions,
        [
            "plan.test",
            "operation.finished",
            "report.check",
            "report.check",
            "report.note",
            "report.finding",
            "report.finding.change"
        ]
    );
    for (what, body, pointer) in [
        ("checks", json!({"name": "x", "result": "maybe"}), "/result"),
        (
            "checks",
            json!({"name": "x", "result": "pass", "evidence": {"sha256": "0"}}),
            "/evidence/sha256",
        ),
        (
            "checks",
            json!({"name": "x", "result": "pass", "evidence": {"url": "javascript:alert(1)"}}),
            "/evidence/url",
        ),
        (
            "checks",
            json!({"name": "x", "result": "pass", "at": "2020-01-01T00:00:00Z"}),
            "/at",
        ),
        (
            "checks",
            json!({"name": "x", "result": "pass", "at": "2099-01-01T00:00:00Z"}),
            "/at",
        ),
        (
            "checks",
            json!({"name": "x", "result": "pass", "machine": "filesrv3"}),
            "/machine",
        ),
        ("notes", json!({"text": ""}), "/text"),
        (
            "findings",
            json!({"title": "x", "severity": "error", "due": "tomorrow"}),
            "/due",
        ),
    ] {
        let refused = test
            .client
            .post(&format!("{path}/{what}"))
            .json(&body)
            .send()
            .await;
        assert_eq!(
            refused.expect_problem(422, "invalid-request").pointers(),
            [pointer],
            "{body}"
        );
    }
    let missing = format!("{path}/findings/fnd_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01");
    let missing = test
        .client
        .request("PATCH", &missing)
        .json(&json!({}))
        .send()
        .await;
    missing.expect_problem(404, "not-found");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_reviewed_by_another_than_who_asked() {
    let test = TestGateway::start().await;
    let path = ended(&test, &plan("/test"), &json!({})).await;
    let review = json!({"decision": "accepted", "comment": "complete"});
    let own = test
        .client
        .post(&format!("{path}/report/review"))
        .json(&review)
        .send()
        .await;
    own.expect_problem(403, "self-approval");
    let auditor =
        test.client_as(&json!({"sub": "auditor", "scope": "reports:read reports:write tenants:all"}));
    let made = auditor
        .post(&format!("{path}/report/review"))
        .json(&review)
        .send()
        .await
        .expect(201);
    let revision = made.body["revision"].as_i64().expect("a revision");
    assert!(revision >= 2, "{}", made.body);
    assert_eq!(
        made.header("location"),
        format!("{path}/report?revision={revision}")
    );
    let report = auditor.get(made.header("location")).send().await.expect(200).body;
    assert_eq!(report["review"][0]["by"], "auditor");
    let first = auditor
        .get(&format!("{path}/report?revision=1"))
        .send()
        .await
        .expect(200)
        .body;
    assert_eq!(first["review"], json!([]));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_em_refused_is_no_test_and_makes_no_event() {
    let test = TestGateway::start().await;
    test.fault(json!({"kind": "status", "status": 409, "method": "POST", "path": "/api/cloud/"}))
        .await;
    let refused = test.client.post(&plan("/test")).send().await;
    let path = operation(&refused.expect_problem(409, "upstream-conflict"));
    let report = report_of(&test, &path).await;
    assert_eq!(report["summary"]["verdict"], "failed");
    assert_eq!(report["measures"]["rta"]["reason"], "noSession");
    let second = tested(&test).await;
    assert_eq!(
        second["comparison"]["tests"],
        json!([]),
        "what was refused is no test"
    );
    let events = "/api/v1/events?pageSize=100";
    let events = test
        .until(events, |body| {
            let items = body["items"].as_array().into_iter().flatten();
            items
                .map(|event| &event["type"])
                .any(|kind| kind == "recovery.report.ready")
        })
        .await;
    let items = events["items"].as_array().expect("events").iter();
    let ready: Vec<&Value> = items
        .filter(|event| event["type"] == "recovery.report.ready")
        .collect();
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0]["data"]["report"]["id"], second["report"]["id"]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_report_is_not_found() {
    let test = TestGateway::start().await;
    ended(&test, &plan("/start"), &json!({})).await;
    let undo = ended(&test, &plan("/undo"), &json!({})).await;
    let none = test.client.get(&format!("{undo}/report")).send().await;
    let none = none.expect_problem(404, "not-found");
    assert_eq!(
        none.body["detail"],
        "the report, which only tests and starts of failover plans have, was not found"
    );
    let missing = "/api/v1/operations/0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01/report";
    test.client
        .get(missing)
        .send()
        .await
        .expect_problem(404, "not-found");
    let purpose = json!({"purpose": {"reason": "x"}});
    let refused = test.client.post(&plan("/undo")).json(&purpose).send().await;
    assert_eq!(
        refused.expect_problem(422, "invalid-request").pointers(),
        ["/purpose"]
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_finding_whose_day_was_over_is_marked_overdue_on_the_page() {
    let test = TestGateway::start().await;
    let path = ended(&test, &plan("/test"), &json!({})).await;
    let page = async || {
        let page = test
            .client
            .get(&format!("{path}/report?format=html"))
            .send()
            .await;
        page.expect(200).text.matches(">overdue<").count()
    };
    let place = format!("{path}/findings");
    let mut late = String::new();
    for (due, overdue) in [("9999-12-31", 0), ("2020-02-29", 1)] {
        let finding = json!({"title": "pool too small", "severity": "error", "due": due});
        let made = test.client.post(&place).json(&finding).send().await.expect(201);
        assert_eq!((&made.body["due"], page().await), (&json!(due), overdue));
        late = format!("{place}/{}", made.body["id"].as_str().expect("an id"));
    }
    let closed = test
        .client
        .request("PATCH", &late)
        .json(&json!({"state": "closed"}));
    closed.send().await.expect(200);
    assert_eq!(page().await, 0, "what is closed is not overdue");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_report_says_so_until_it_is_released() {
    let test = TestGateway::start().await;
    let path = ended(&test, &plan("/test"), &json!({})).await;
    let first = report_of(&test, &path).await;
    assert_eq!(first["report"]["hold"], Value::Null);
    let hold = format!("{path}/report/hold");
    for (body, pointer) in [
        (json!({}), "/reason"),
        (json!({"reason": ""}), "/reason"),
        (json!({"why": "x"}), "/why"),
    ] {
        let refused = test.client.request("PUT", &hold).json(&body).send().await;
        let refused = refused.expect_problem(422, "invalid-request");
        assert!(refused.pointers().contains(&pointer), "{body}: {}", refused.text);
    }
    let wanted = json!({"reason": "litigation 2026-17"});
    let set = test
        .client
        .request("PUT", &hold)
        .json(&wanted)
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&set.body["reason"], &set.body["by"]),
        (&wanted["reason"], &json!("tester"))
    );
    let held = report_of(&test, &path).await;
    assert_eq!(held["report"]["hold"], set.body);
    assert_eq!(held["report"]["revision"], 2);
    let read = test.client.get(&hold).send().await.expect(200);
    assert_eq!((&read.body, read.header("etag")), (&set.body, set.header("etag")));
    for _ in 0..2 {
        test.client.request("DELETE", &hold).send().await.expect(204);
    }
    let released = report_of(&test, &path).await;
    assert_eq!(
        (&released["report"]["hold"], &released["report"]["revision"]),
        (&Value::Null, &json!(3))
    );
    let audit = test
        .client
        .get("/api/v1/audit?action=report.hold,report.release")
        .send()
        .await
        .expect(200);
    let rows = audit.body["items"].as_array().expect("rows");
    let actions: Vec<&str> = rows.iter().filter_map(|row| row["action"].as_str()).collect();
    assert_eq!(actions, ["report.hold", "report.release", "report.release"]);
    assert_eq!(rows[0]["details"]["reason"], "litigation 2026-17");
    let reader = test.client_with(&["reports:read"]);
    let refused = reader.request("PUT", &hold).json(&wanted).send().await;
    refused.expect_problem(403, "insufficient-scope");
    let nobody = reader.get(&hold).send().await;
    nobody.expect_problem(404, "not-found");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_changed_and_released_only_while_it_is_what_was_read() {
    let test = TestGateway::start().await;
    let path = ended(&test, &plan("/test"), &json!({})).await;
    let hold = format!("{path}/report/hold");
    let put = async |reason: &str, tag: &str| {
        let request = test.client.request("PUT", &hold).header("if-match", tag);
        request.json(&json!({ "reason": reason })).send().await
    };
    let tag_of = |answer: &Answer| answer.header("etag").to_owned();
    put("a", "\"none\"")
        .await
        .expect_problem(412, "precondition-failed");
    let missing = test.client.get(&hold).send().await;
    missing.expect_problem(404, "not-found");
    let first = tag_of(&put("a", "*").await.expect(200));
    let again = tag_of(&put("a", &first).await.expect(200));
    assert_ne!(first, again, "held anew is another hold");
    put("b", &first).await.expect_problem(412, "precondition-failed");
    let known = test.client.get(&hold).header("if-none-match", &again);
    known.send().await.expect(304);
    let release = async |tag: &str| {
        let request = test.client.request("DELETE", &hold).header("if-match", tag);
        request.send().await
    };
    release(&first).await.expect_problem(412, "precondition-failed");
    assert_eq!(
        test.client.get(&hold).send().await.expect(200).body["reason"],
        "a"
    );
    release(&again).await.expect(204);
    release(&again).await.expect_problem(412, "precondition-failed");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_to_reports_once_they_are_there() {
    let test = TestGateway::builder().sim(|sim| sim.speed = 20.0).start().await;
    let accepted = test.client.post(&plan("/test")).send().await.expect(202);
    let path = operation(&accepted);
    assert_eq!(accepted.body["links"]["report"], Value::Null);
    let done = test.until(&path, |body| body["state"] == "finished").await;
    assert_eq!(done["links"]["report"], format!("{path}/report"));
    let session = done["session"]["links"]["report"].as_str().expect("a link");
    assert_eq!(
        test.client.get(session).send().await.expect(200).body["report"]["revision"],
        1
    );
    let undo = test.client.post(&plan("/undo")).send().await.expect(202);
    let undone = test
        .until(&operation(&undo), |body| body["state"] == "finished")
        .await;
    assert_eq!(
        undone["links"]["report"],
        Value::Null,
        "an undo has none of its own"
    );
    let index = test.client.get("/api/v1").send().await.expect(200);
    let programme = index.body["links"]["recoveryTests"].as_str().expect("a link");
    test.client.get(programme).send().await.expect(200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_to_whom_the_failover_was_told() {
    let mut receiver = WebhookReceiver::start().await;
    let builder = TestGateway::builder().config(|config| {
        config.webhooks.allow_http = true;
        config.webhooks.allow_private_networks = true;
    });
    let test = builder.start().await;
    let endpoint = json!({"url": receiver.url(), "eventTypes": ["failover.session.started"]});
    test.client
        .post("/api/v1/webhook-endpoints")
        .json(&endpoint)
        .send()
        .await
        .expect(201);
    let body = json!({"callback": {"url": receiver.url()}});
    let path = ended(&test, &plan("/test"), &body).await;
    receiver.next_of("failover.session.finished").await;
    // What was delivered since is in the next revision.
    test.until("/api/v1/webhook-deliveries?state=delivered", |list| {
        list["items"].as_array().is_some_and(|items| items.len() == 2)
    })
    .await;
    test.client
        .post(&format!("{path}/notes"))
        .json(&json!({"text": "all were told"}))
        .send()
        .await
        .expect(201);
    let report = report_of(&test, &path).await;
    let told = report["notifications"].as_array().expect("deliveries");
    assert_eq!(told.len(), 2, "{told:?}");
    for (one, receiver_is_endpoint) in told.iter().zip([true, false]) {
        assert_eq!(one["receiver"] == "endpoint", receiver_is_endpoint, "{told:?}");
        assert_eq!(one["endpointId"], Value::Null, "the plan is a tenant's");
        assert_eq!(one["state"], "delivered");
        assert!(one["deliveredAt"].is_string());
    }
    test.stop().await;
}

/// The number of open findings, and whether a page tells it, of the programme.
#[tokio::test(flavor = "multi_thread")]
async fn the_programme_is_a_page_as_well() {
    let test = TestGateway::builder().sim(|sim| sim.plans = 6).start().await;
    set_objectives(&test).await;
    let path = ended(&test, &plan("/test"), &json!({})).await;
    report_of(&test, &path).await;
    for title in ["<b>hostile</b>", "closed since"] {
        let finding = json!({"title": title, "severity": "warning"});
        let made = test
            .client
            .post(&format!("{path}/findings"))
            .json(&finding)
            .send()
            .await
            .expect(201);
        if title == "closed since" {
            let one = format!("{path}/findings/{}", made.body["id"].as_str().expect("an id"));
            let closed = json!({"state": "closed"});
            test.client
                .request("PATCH", &one)
                .json(&closed)
                .send()
                .await
                .expect(200);
        }
    }
    let whole = test
        .client
        .get("/api/v1/reports/recovery-tests")
        .send()
        .await
        .expect(200)
        .body;
    let items = whole["items"].as_array().expect("plans");
    let of = |kind: &str| items.iter().filter(|item| item["plan"]["kind"] == kind).count();
    assert!(of("onPremises") > 0, "on-premises plans are in it");
    assert_eq!(of("cloud"), 6);
    assert_eq!(whole["population"], items.len());
    let own = items
        .iter()
        .find(|item| item["plan"]["id"] == PLAN)
        .expect("the plan");
    assert_eq!((&own["openFindings"], &own["tests"]), (&json!(1), &json!(1)));
    let page = test
        .client
        .get("/api/v1/reports/recovery-tests?format=html")
        .send()
        .await
        .expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("sandbox"));
    assert_eq!(page.text.matches("<tr><td>").count(), items.len());
    assert!(!page.text.contains("<script") && page.text.contains("Page \" counter(page)"));
    files::keep("programme.html", &page.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_on_premises_plan_is_tested_by_a_start_that_is_an_exercise() {
    let test = TestGateway::start().await;
    let list = test.client.get("/api/v1/failover-plans").send().await.expect(200);
    let id = list.body["items"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/failover-plans/{id}");
    let programme = async || {
        let whole = test
            .client
            .get("/api/v1/reports/recovery-tests")
            .send()
            .await
            .expect(200)
            .body;
        let items = whole["items"].as_array().expect("plans");
        items
            .iter()
            .find(|item| item["plan"]["id"] == id)
            .expect("the plan")["tests"]
            .clone()
    };
    let started = ended(&test, &format!("{path}/start"), &json!({})).await;
    report_of(&test, &started).await;
    assert_eq!(programme().await, 0, "what is no exercise is no test");
    ended(&test, &format!("{path}/undo"), &json!({})).await;
    let purpose = json!({"purpose": {"kind": "exercise"}});
    let started = ended(&test, &format!("{path}/start"), &purpose).await;
    report_of(&test, &started).await;
    assert_eq!(programme().await, 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_of_ones_own_makes_the_pages_and_a_bad_one_none() {
    for (text, shown) in [
        (
            "<html><body><h1>Our report of {{ r.plan.name }}</h1></body></html>",
            "<h1>Our report of ABC Company",
        ),
        ("{{ r.plan.name | nofilter }}", "<h2>Request and plan</h2>"),
    ] {
        let template = emgate::app::config::ReportTemplate::parse(text.to_owned()).expect("a template");
        let test = TestGateway::builder()
            .config(|config| config.reports.template = Some(template))
            .start()
            .await;
        let path = ended(&test, &plan("/test"), &json!({})).await;
        let page = test
            .client
            .get(&format!("{path}/report?format=html"))
            .send()
            .await
            .expect(200)
            .text;
        assert!(page.contains(shown), "{page}");
        let keys = files::keys_of(&test).await;
        let strict = emgate::reports::verify::verify(page.as_bytes(), &keys, false);
        assert_eq!(strict.is_ok(), shown.starts_with("<h2>"), "{strict:?}");
        emgate::reports::verify::verify(page.as_bytes(), &keys, true).expect("the report in it");
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_what_was_unknown_makes_a_new_revision() {
    let test = TestGateway::builder()
        .config(|config| {
            config.upstream.connect_timeout = std::time::Duration::from_millis(500);
            config.upstream.request_timeout = std::time::Duration::from_millis(1500);
            config.upstream.unknown_after = std::time::Duration::from_secs(1);
        })
        .start()
        .await;
    test.fault(json!({"kind": "close", "method": "POST", "path": "/api/cloud/"}))
        .await;
    let path = operation(&test.client.post(&plan("/test")).send().await.expect(202));
    test.until(&path, |body| body["state"] == "unknown").await;
    let unknown = report_of(&test, &path).await;
    assert_eq!(
        (&unknown["execution"]["state"], &unknown["report"]["revision"]),
        (&json!("unknown"), &json!(1))
    );
    let late = json!({"planId": PLAN, "action": "test", "result": "success", "seconds": 20});
    test.sim_control(Method::POST, "failovers", late).await;
    test.until(&path, |body| body["state"] == "finished").await;
    let report = format!("{path}/report");
    let settled = test.until(&report, |body| body["report"]["revision"] == 2).await;
    assert_eq!(settled["execution"]["state"], "finished");
    assert_eq!(settled["execution"]["result"], "success");
    let first = test
        .client
        .get(&format!("{report}?revision=1"))
        .send()
        .await
        .expect(200);
    assert_eq!(first.body, unknown, "the first one is as it was");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_which_versions_it_comes_from() {
    let test = TestGateway::start().await;
    let report = tested(&test).await;
    let provenance = &report["provenance"];
    assert_eq!(provenance["emApiVersion"], "v1_7");
    assert_eq!(provenance["backupServerVersion"], "13.0.1.1071");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programme_of_many_plans_reads_each_page_once() {
    let scripted = ScriptedServer::start().await;
    let between = scripted.clone();
    let test = TestGateway::builder()
        .sim(|sim| sim.plans = 250)
        .config(move |config| between.put_before(&mut config.upstream))
        .start()
        .await;
    let path = "/api/v1/reports/recovery-tests?kind=cloud";
    let before = test.client.get(path).send().await.expect(200).body;
    let ids: Vec<&str> = before["items"]
        .as_array()
        .expect("plans")
        .iter()
        .filter_map(|item| item["plan"]["id"].as_str())
        .collect();
    assert_eq!(ids.len(), 250);
    let at = jiff::Timestamp::now().as_microsecond() - 1_000_000;
    let rows: Vec<String> = ids[7..]
        .iter()
        .map(|plan| {
            let plan = plan.to_lowercase();
            // An id of the session is one of the report's as well here.
            format!(
                "('{plan}', 'main', '{plan}', 'test', '{plan}', {at}, '{{}}', 'reported', 1, 'passed', 'success', 1000, 2)"
            )
        })
        .collect();
    let sql = format!(
        "insert into recovery_runs (id, upstream_id, session_key, action, plan_key, started_at, asked, state, revision, \
         outcome, result, rta_ms, machines) values {}",
        rows.join(", ")
    );
    schedules::change(&schedules::file(test.directory()), sql).await;
    let seen = || scripted.seen("GET /api/query?type=CloudFailoverPlan").len();
    let asked = seen();
    let after = test.client.get(path).send().await.expect(200).body;
    assert_eq!(seen() - asked, 3, "250 plans are three pages");
    assert_eq!(
        (&after["population"], &after["tested"]),
        (&json!(250), &json!(243))
    );
    let items = after["items"].as_array().expect("plans");
    assert_eq!(items.iter().filter(|item| item["lastTest"].is_null()).count(), 7);
    test.stop().await;
}
