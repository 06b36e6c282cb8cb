//! Lists: numbered where Enterprise Manager numbers them, by cursor where the log is ours; filters, sorting, links.

use serde_json::{Value, json};

use crate::support::{PLAN, TestGateway};

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| item["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Follows `next` to the end, which must come.
async fn walk(test: &TestGateway, first: &str, link: &str) -> Vec<Value> {
    let mut pages: Vec<Value> = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        assert!(pages.len() < 100, "the pages of {first} never end");
        let page = test.client.get(&path).send().await.expect(200).body;
        next = page["page"][link].as_str().map(ToOwned::to_owned);
        pages.push(page);
    }
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plan_is_on_one_page() {
    let test = TestGateway::builder().sim(|sim| sim.plans = 7).start().await;
    for collection in ["cloud-failover-plans", "failover-plans"] {
        let first = format!("/api/v1/{collection}?pageSize=3&sortAsc=name");
        let pages = walk(&test, &first, "next").await;
        let sizes: Vec<usize> = pages.iter().map(|page| ids(page).len()).collect();
        assert_eq!(sizes, [3, 3, 1], "{collection}");
        for (place, page) in pages.iter().enumerate() {
            let info = &page["page"];
            assert_eq!(
                (&info["number"], &info["total"], &info["size"]),
                (&json!(place + 1), &json!(3), &json!(3))
            );
            assert_eq!(info["previous"].is_null(), place == 0);
        }
        let mut all: Vec<String> = pages.iter().flat_map(ids).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 7, "{collection}");
        let names = |page: &Value| -> Vec<String> {
            let items = page["items"].as_array().expect("items");
            items
                .iter()
                .map(|item| item["name"].as_str().expect("a name").to_owned())
                .collect()
        };
        let ascending: Vec<String> = pages.iter().flat_map(names).collect();
        let path = format!("/api/v1/{collection}?pageSize=100&sortDesc=name");
        let mut descending = names(&test.client.get(&path).send().await.expect(200).body);
        descending.reverse();
        assert_eq!(ascending, descending, "{collection}");
        let back = walk(
            &test,
            pages[1]["page"]["next"].as_str().expect("a link"),
            "previous",
        )
        .await;
        assert_eq!(back.len(), 3, "{collection}");
        let beyond = test
            .client
            .get(&format!("/api/v1/{collection}?page=99&pageSize=3"))
            .send()
            .await
            .expect(200);
        assert_eq!(
            (ids(&beyond.body).len(), &beyond.body["page"]["next"]),
            (0, &Value::Null),
            "{collection}"
        );
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_filtered_sorted_and_paged_by_enterprise_manager() {
    let test = TestGateway::builder().sim(|sim| sim.history = 12).start().await;
    let all = test
        .client
        .get("/api/v1/failover-sessions?pageSize=100")
        .send()
        .await
        .expect(200)
        .body;
    let count = ids(&all).len();
    assert!(count >= 12, "{count}");
    let items = all["items"].as_array().expect("items");
    let started: Vec<&str> = items
        .iter()
        .map(|item| item["startedAt"].as_str().expect("a moment"))
        .collect();
    assert!(
        started.is_sorted_by(|newer, older| newer >= older),
        "newest first: {started:?}"
    );

    let walked = walk(&test, "/api/v1/failover-sessions?pageSize=5", "next").await;
    let walked: Vec<String> = walked.iter().flat_map(ids).collect();
    assert_eq!(walked, ids(&all));

    for (query, matches) in [
        (
            "state=stopped",
            Box::new(|item: &Value| item["state"] == "stopped") as Box<dyn Fn(&Value) -> bool>,
        ),
        (
            "state=working,starting",
            Box::new(|item| item["state"] != "stopped"),
        ),
        (
            "result=failed,warning",
            Box::new(|item| item["result"] == "failed" || item["result"] == "warning"),
        ),
        (
            "planName=ABC%20COMPANY%20failover%20plan",
            Box::new(|item| item["planName"] == "ABC Company Failover Plan"),
        ),
        ("planName=nobody", Box::new(|_| false)),
    ] {
        let page = test
            .client
            .get(&format!("/api/v1/failover-sessions?pageSize=100&{query}"))
            .send()
            .await
            .expect(200);
        let expected: Vec<&Value> = items
            .iter()
            .filter(|item| matches(item))
            .map(|item| &item["id"])
            .collect();
        let found = page.body["items"].as_array().expect("items");
        let found: Vec<&Value> = found.iter().map(|item| &item["id"]).collect();
        assert_eq!(found, expected, "{query}");
    }
    let middle = started[count / 2];
    let after = test
        .client
        .get(&format!(
            "/api/v1/failover-sessions?pageSize=100&startedAfter={middle}"
        ))
        .send()
        .await;
    let before = test
        .client
        .get(&format!(
            "/api/v1/failover-sessions?pageSize=100&startedBefore={middle}"
        ))
        .send()
        .await;
    let (after, before) = (ids(&after.expect(200).body), ids(&before.expect(200).body));
    assert_eq!(
        after.len() + before.len(),
        count,
        "the bounds leave nothing out and nothing twice"
    );
    assert!(
        after.contains(&items[count / 2]["id"].as_str().expect("an id").to_owned()),
        "startedAfter includes"
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_and_events_are_paged_by_cursor_in_both_directions() {
    let test = TestGateway::start().await;
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    for number in 0..5 {
        let body = json!({"metadata": {"number": number.to_string()}});
        test.client
            .post(&path)
            .header("prefer", "wait=20")
            .json(&body)
            .send()
            .await
            .expect(200);
    }
    let first = "/api/v1/operations?pageSize=2&state=finished,running&kind=failover";
    let pages = walk(&test, first, "next").await;
    let numbers: Vec<&str> = pages
        .iter()
        .flat_map(|page| page["items"].as_array().expect("items"))
        .map(|item| item["metadata"]["number"].as_str().expect("a number"))
        .collect();
    assert_eq!(numbers, ["4", "3", "2", "1", "0"], "newest first");
    assert!(pages[0]["page"].get("number").is_none(), "not numbered");
    let last = pages[1]["page"]["next"].as_str().expect("a link");
    assert!(last.contains("state=finished"), "the filter stays: {last}");
    let back = walk(&test, last, "previous").await;
    assert_eq!(back.iter().flat_map(ids).count(), 5);
    for query in [
        "planId=00000000-0000-4000-8000-000000000000",
        "result=cancelled",
        "kind=update",
        "state=unknown",
    ] {
        let none = test
            .client
            .get(&format!("/api/v1/operations?{query}"))
            .send()
            .await
            .expect(200);
        assert_eq!(none.body["items"], json!([]), "{query}");
    }
    let upper = PLAN.to_uppercase();
    let same = test
        .client
        .get(&format!("/api/v1/operations?planId={upper}"))
        .send()
        .await
        .expect(200);
    assert_eq!(ids(&same.body).len(), 5, "ids are compared without case");

    let events = walk(&test, "/api/v1/events?pageSize=3", "next").await;
    let log: Vec<String> = events.iter().flat_map(ids).collect();
    assert!(log.len() >= 10, "{log:?}");
    let times: Vec<jiff::Timestamp> = events
        .iter()
        .flat_map(|page| page["items"].as_array().expect("items"))
        // Reports are made beside the observations, whose events have the moment at which EM was asked.
        .filter(|item| item["type"] != "recovery.report.ready")
        .map(|item| {
            let text = item["timestamp"].as_str().expect("a moment");
            text.parse().expect("a moment")
        })
        .collect();
    assert!(times.is_sorted(), "oldest first: {times:?}");
    let after = test
        .client
        .get(&format!("/api/v1/events?after={}", log[1]))
        .send()
        .await
        .expect(200);
    assert_eq!(ids(&after.body), log[2..]);
    let before = test
        .client
        .get(&format!("/api/v1/events?before={}", log[2]))
        .send()
        .await
        .expect(200);
    assert_eq!(ids(&before.body), log[..2]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_type_comes_with_a_schema_that_its_example_fits() {
    let test = TestGateway::start().await;
    let page = test
        .client
        .get("/api/v1/event-types")
        .send()
        .await
        .expect(200)
        .body;
    let items = page["items"].as_array().expect("items");
    assert_eq!(items.len(), emgate::domain::event::EventType::ALL.len());
    for item in items {
        let name = item["type"].as_str().expect("a name");
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&item["schema"])
            .unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let faults: Vec<String> = validator
            .iter_errors(&item["example"])
            .map(|fault| fault.to_string())
            .collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
        assert_eq!(item["example"]["type"], name);
        let mut broken = item["example"].clone();
        broken.as_object_mut().expect("an object").remove("data");
        assert!(!validator.is_valid(&broken), "{name}: the schema demands nothing");
    }
    // And the events that really happen fit as well.
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    test.client
        .post(&path)
        .header("prefer", "wait=20")
        .send()
        .await
        .expect(200);
    let finished = |body: &Value| {
        let items = body["items"].as_array().expect("items");
        items
            .iter()
            .any(|item| item["type"] == "failover.session.finished")
    };
    let log = test.until("/api/v1/events", finished).await;
    for event in log["items"].as_array().expect("items") {
        let item = items
            .iter()
            .find(|item| item["type"] == event["type"])
            .expect("a known type");
        let mut body = event.clone();
        body.as_object_mut().expect("an object").remove("id");
        let validator = jsonschema::validator_for(&item["schema"]).expect("a schema");
        let faults: Vec<String> = validator
            .iter_errors(&body)
            .map(|fault| fault.to_string())
            .collect();
        assert!(faults.is_empty(), "{}: {faults:?}\n{body:#}", event["type"]);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_costs_no_other_record_of_the_list() {
    let test = TestGateway::builder()
        .sim(|sim| {
            sim.plans = 4;
            sim.history = 4;
        })
        .start()
        .await;
    for (collection, kinds) in [
        (
            "cloud-failover-plans",
            ["badEntity", "repeatedPart", "noIdentity"],
        ),
        ("failover-plans", ["deep", "mismatchedTag", "unclosedTag"]),
        ("failover-sessions", ["bareAmpersand", "deep", "noIdentity"]),
    ] {
        let path = format!("/api/v1/{collection}?pageSize=100");
        let all = ids(&test.client.get(&path).send().await.expect(200).body);
        for (bad, kind) in all.iter().zip(kinds) {
            let wish = json!({"id": bad, "kind": kind, "alone": true});
            test.sim_control(reqwest::Method::POST, "damage", wish).await;
        }
        let page = test.client.get(&path).send().await.expect(200).body;
        assert_eq!(ids(&page), all[3..], "{collection}");
        assert_eq!(page["page"]["total"], 1, "{collection}");
        let alone = format!("/api/v1/{collection}/{}", all[0]);
        let problem = test.client.get(&alone).send().await.expect(502).body;
        assert_eq!(problem["code"], "upstream-invalid-response", "{problem}");
        if collection == "cloud-failover-plans" {
            let act = |plan: &str| format!("/api/v1/cloud-failover-plans/{plan}/test");
            test.client.post(&act(&all[0])).send().await.expect(502);
            test.client.post(&act(&all[3])).send().await.expect(202);
        }
        test.sim_control(reqwest::Method::DELETE, "damage", json!({}))
            .await;
        let page = test.client.get(&path).send().await.expect(200).body;
        assert!(ids(&page).len() >= all.len(), "{collection}");
    }
    let readable = json!({"id": PLAN, "kind": "escByte", "alone": true});
    test.sim_control(reqwest::Method::POST, "damage", readable).await;
    let plan = test
        .client
        .get(&format!("/api/v1/cloud-failover-plans/{PLAN}"))
        .send()
        .await
        .expect(200)
        .body;
    let description = plan["description"].as_str().expect("text");
    assert!(description.contains("\u{fffd}[31mfailed"), "{description:?}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_listed_by_type_in_pages_of_their_own() {
    let test = TestGateway::start().await;
    for _ in 0..2 {
        let done = test
            .client
            .post(&format!("/api/v1/cloud-failover-plans/{PLAN}/test"));
        done.header("prefer", "wait=50").send().await.expect(200);
    }
    let of = |item: &Value| item["type"].as_str().expect("a type").to_owned();
    let all = walk(&test, "/api/v1/events?pageSize=100", "next").await;
    let all: Vec<Value> = all
        .iter()
        .flat_map(|page| page["items"].as_array().expect("items").clone())
        .collect();
    for types in [
        "failover.session.started",
        "failover.session.finished",
        "failover.vm.finished,failover.session.finished",
        "webhook.test",
    ] {
        let wanted: Vec<String> = all
            .iter()
            .filter(|item| types.split(',').any(|kind| kind == of(item)))
            .map(|item| item["id"].as_str().expect("an id").to_owned())
            .collect();
        let first = format!("/api/v1/events?type={types}&pageSize=1");
        let pages = walk(&test, &first, "next").await;
        assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), wanted, "{types}");
        let mut back = wanted.clone();
        back.pop();
        if let Some(last) = wanted.last() {
            let first = format!("/api/v1/events?type={types}&pageSize=1&before={last}");
            let mut read: Vec<String> = walk(&test, &first, "previous")
                .await
                .iter()
                .flat_map(ids)
                .collect();
            read.reverse();
            assert_eq!(read, back, "{types} backwards");
        }
    }
    // A tenant's events by type, through the tenant's own index.
    let own = test.client_as(&json!({"sub": "abc", "scope": "events:read", "tenants": ["ABC Company"]}));
    let page = own
        .get("/api/v1/events?type=failover.session.finished")
        .send()
        .await
        .expect(200);
    assert_eq!(ids(&page.body).len(), 2);
    for query in [
        "type=nonsense",
        "type=",
        "type=webhook.test,",
        "kind=webhook.test",
    ] {
        let refused = test.client.get(&format!("/api/v1/events?{query}"));
        let refused = refused.refused(422, "invalid-request").await;
        if query == "type=nonsense" {
            assert!(
                refused.text.contains("failover.session.finished"),
                "{}",
                refused.text
            );
        }
    }
    test.stop().await;
}
