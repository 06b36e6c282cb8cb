//! Every operation of the document, asked by a caller of the tenant, one of another tenant, one of no tenant, and one who is
//! not confined. The operations come from the document, so that a new one without a row fails here.
//!
//! What belongs to another tenant is answered as what never existed: with the same status, headers and bytes, but for the
//! id that the request itself named.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{ABC, NORDWIND, Things, confined, endpoint, gateway};
use crate::support::client::Answer;
use crate::support::receiver::WebhookReceiver;
use crate::support::sse::{Stream, ids};
use crate::support::{Client, TestGateway};

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Nothing: it is open.
    Open,
    /// The caller themselves.
    Caller,
    /// A page that is the same for everybody with the scope.
    Page,
    /// A list of what tenants have.
    List,
    /// The same without pages.
    Lines,
    /// A list of what no tenant has.
    NobodysList,
    /// Events of tenants, without end.
    Stream,
    /// It makes a ticket.
    Ticket,
    /// It makes something of the caller's own.
    Making,
    Plan,
    /// A plan that the operation removes.
    DoomedPlan,
    OnPremisesPlan,
    Operation,
    Session,
    Event,
    Endpoint,
    /// An endpoint that the operation removes.
    DoomedEndpoint,
    Delivery,
    /// A finding; the ids are of the operation and the finding.
    Finding,
    /// A job of an endpoint; the ids are of the endpoint and the job.
    Job,
}

const ROWS: &[(&str, About)] = &[
    ("getProtectedResource", About::Open),
    ("getReportKeys", About::Open),
    ("getHealth", About::Open),
    ("getMetrics", About::Open),
    ("getOpenapi", About::Open),
    ("getProblem", About::Open),
    ("getReadiness", About::Open),
    ("getIndex", About::Caller),
    ("getMe", About::Caller),
    ("getSystem", About::Caller),
    ("listEventTypes", About::Page),
    ("listCloudFailoverPlans", About::List),
    ("getCloudFailoverPlan", About::Plan),
    ("updateCloudFailoverPlan", About::Plan),
    ("deleteCloudFailoverPlan", About::DoomedPlan),
    ("startCloudFailoverPlan", About::Plan),
    ("testCloudFailoverPlan", About::Plan),
    ("undoCloudFailoverPlan", About::Plan),
    ("getCloudFailoverPlanObjectives", About::Plan),
    ("setCloudFailoverPlanObjectives", About::Plan),
    ("getCloudFailoverPlanSchedule", About::Plan),
    ("setCloudFailoverPlanSchedule", About::Plan),
    ("removeCloudFailoverPlanSchedule", About::Plan),
    ("getFailoverPlanObjectives", About::OnPremisesPlan),
    ("setFailoverPlanObjectives", About::OnPremisesPlan),
    ("getOperationReport", About::Operation),
    ("recordCheck", About::Operation),
    ("recordNote", About::Operation),
    ("recordFinding", About::Operation),
    ("changeFinding", About::Finding),
    ("reviewReport", About::Operation),
    ("getReportHold", About::Operation),
    ("holdReport", About::Operation),
    ("releaseReport", About::Operation),
    ("getFailoverSessionReport", About::Session),
    ("listFailoverPlans", About::NobodysList),
    ("getFailoverPlan", About::OnPremisesPlan),
    ("updateFailoverPlan", About::OnPremisesPlan),
    ("startFailoverPlan", About::OnPremisesPlan),
    ("undoFailoverPlan", About::OnPremisesPlan),
    ("getRecoveryProgramme", About::Lines),
    ("listEvents", About::List),
    ("getEvent", About::Event),
    ("streamEvents", About::Stream),
    ("createStreamTicket", About::Ticket),
    ("listFailoverSessions", About::List),
    ("getFailoverSession", About::Session),
    ("streamFailoverSession", About::Session),
    ("listOperations", About::List),
    ("getOperation", About::Operation),
    ("getOperationResult", About::Operation),
    ("streamOperation", About::Operation),
    ("approveOperation", About::Operation),
    ("rejectOperation", About::Operation),
    ("cancelOperation", About::Operation),
    ("listAudit", About::List),
    ("exportAudit", About::Lines),
    ("listWebhookDeliveries", About::List),
    ("getWebhookDelivery", About::Delivery),
    ("listWebhookEndpoints", About::List),
    ("createWebhookEndpoint", About::Making),
    ("getWebhookEndpoint", About::Endpoint),
    ("updateWebhookEndpoint", About::Endpoint),
    ("deleteWebhookEndpoint", About::DoomedEndpoint),
    ("testWebhookEndpoint", About::Endpoint),
    ("replaceWebhookEndpoint", About::Endpoint),
    ("getWebhookEndpointSecret", About::Endpoint),
    ("rotateWebhookEndpointSecret", About::Endpoint),
    ("recoverWebhookEndpoint", About::Endpoint),
    ("replayWebhookEndpoint", About::Endpoint),
    ("listWebhookJobs", About::Endpoint),
    ("getWebhookJob", About::Job),
    ("redeliverWebhookDelivery", About::Delivery),
    ("previewWebhookEndpoint", About::Endpoint),
];

/// An operation of the document.
struct Operation {
    id: String,
    method: String,
    path: String,
}

/// Those that are not the mirror's, and those that are.
async fn operations(test: &TestGateway) -> (Vec<Operation>, Vec<Operation>) {
    let document = test.stranger().get("/openapi.json").send().await.expect(200).body;
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            all.push(Operation {
                id: operation["operationId"].as_str().expect("an id").to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
            });
        }
    }
    all.into_iter()
        .partition(|operation| !operation.path.starts_with("/api/v1/em"))
}

/// What the tests have made, and who asks.
struct World {
    test: TestGateway,
    abc: Things,
    nordwind: Things,
    of_abc: Client,
    of_nordwind: Client,
    of_nobody: Client,
    receiver: WebhookReceiver,
}

impl World {
    async fn start() -> Self {
        let test = gateway().await;
        let receiver = WebhookReceiver::start().await;
        let abc = Things::make(&test, ABC, &receiver).await;
        let nordwind = Things::make(&test, NORDWIND, &receiver).await;
        for plan in [&abc.plans[0], &nordwind.plans[0]] {
            let path = format!("/api/v1/cloud-failover-plans/{plan}/schedule");
            let set = test.client.request("PUT", &path).json(&yearly());
            set.send().await.expect(200);
        }
        for operation in [&abc.operation, &nordwind.operation] {
            let path = format!("/api/v1/operations/{operation}/report/hold");
            let held = test.client.request("PUT", &path).json(&json!({"reason": "x"}));
            held.send().await.expect(200);
        }
        Self {
            of_abc: confined(&test, &[ABC]),
            of_nordwind: confined(&test, &[NORDWIND]),
            of_nobody: confined(&test, &[]),
            test,
            abc,
            nordwind,
            receiver,
        }
    }

    fn request(&self, client: &Client, operation: &Operation, id: &str) -> crate::support::client::Request {
        let mut ids = id.split('/').cycle();
        let mut part_of = |part: &'_ str| {
            if part.starts_with('{') {
                ids.next().unwrap_or_default().to_owned()
            } else {
                part.to_owned()
            }
        };
        let parts: Vec<String> = operation.path.split('/').map(&mut part_of).collect();
        let path = parts.join("/");
        let request = client
            .request(&operation.method, &path)
            .header("x-request-id", "the-same");
        match operation.id.as_str() {
            "replaceWebhookEndpoint" => request.json(&json!({"url": self.receiver.url()})),
            "recoverWebhookEndpoint" | "replayWebhookEndpoint" => {
                request.json(&json!({"since": "2026-01-01T00:00:00Z"}))
            }
            "setCloudFailoverPlanObjectives" | "setFailoverPlanObjectives" => {
                request.json(&json!({"rtoSeconds": 3600}))
            }
            "setCloudFailoverPlanSchedule" => request.json(&yearly()),
            "holdReport" => request.json(&json!({"reason": "x"})),
            "recordCheck" => request.json(&json!({"name": "x", "result": "pass"})),
            "recordNote" => request.json(&json!({"text": "x"})),
            "recordFinding" => request.json(&json!({"title": "x", "severity": "info"})),
            "changeFinding" => request.json(&json!({"state": "closed"})),
            "reviewReport" => request.json(&json!({"decision": "accepted"})),
            "createWebhookEndpoint" => request.json(&json!({"url": self.receiver.url()})),
            "updateWebhookEndpoint" => request
                .header("content-type", "application/merge-patch+json")
                .body(json!({"description": "mine"}).to_string()),
            "updateCloudFailoverPlan" | "updateFailoverPlan" => request.json(&json!({"id": id})),
            _ => request,
        }
    }

    async fn ask(&self, client: &Client, operation: &Operation, id: &str) -> Answer {
        self.request(client, operation, id).send().await
    }

    /// One thing of each tenant, and one that never existed.
    async fn ids(&self, about: About) -> (String, String, String) {
        let fresh = async |client: &Client| endpoint(client, &self.receiver.url()).await;
        let nothing = "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01";
        if about == About::Job {
            let of = async |client: &Client| {
                let endpoint = fresh(client).await;
                let path = format!("/api/v1/webhook-endpoints/{endpoint}/recover");
                let wanted = json!({"since": "2026-01-01T00:00:00Z"});
                let begun = client.post(&path).json(&wanted).send().await.expect(202);
                format!("{endpoint}/{}", super::id_of(&begun.body))
            };
            let missing = format!("ep_{nothing}/job_{nothing}");
            return (of(&self.of_abc).await, of(&self.of_nordwind).await, missing);
        }
        if about == About::Finding {
            let of = async |client: &Client, operation: &str| {
                let path = format!("/api/v1/operations/{operation}/findings");
                let wanted = json!({"title": "x", "severity": "info"});
                let made = client.post(&path).json(&wanted).send().await.expect(201);
                format!("{operation}/{}", super::id_of(&made.body))
            };
            let own = of(&self.of_abc, &self.abc.operation).await;
            let foreign = of(&self.of_nordwind, &self.nordwind.operation).await;
            // Another id than the operation's, so that each is left out of what is compared.
            let finding = "fnd_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e02";
            return (own, foreign, format!("{nothing}/{finding}"));
        }
        let (own, foreign, prefix) = match about {
            About::Plan => (&self.abc.plans[0], &self.nordwind.plans[0], ""),
            About::DoomedPlan => (&self.abc.plans[2], &self.nordwind.plans[2], ""),
            About::Operation => (&self.abc.operation, &self.nordwind.operation, ""),
            About::Session => (&self.abc.session, &self.nordwind.session, ""),
            About::Event => (&self.abc.event, &self.nordwind.event, "evt_"),
            About::Endpoint => (&self.abc.endpoint, &self.nordwind.endpoint, "ep_"),
            About::Delivery => (&self.abc.delivery, &self.nordwind.callback_delivery, "dlv_"),
            About::DoomedEndpoint => {
                let own = fresh(&self.of_abc).await;
                return (own, fresh(&self.of_nordwind).await, format!("ep_{nothing}"));
            }
            other => panic!("{other:?} has no id"),
        };
        (own.clone(), foreign.clone(), format!("{prefix}{nothing}"))
    }
}

/// A schedule that is not due while a test runs.
fn yearly() -> Value {
    json!({"cron": "0 3 29 2 *", "timeZone": "UTC"})
}

/// What an answer tells: without what differs from request to request, and with the ids that the request named left out.
fn told(answer: &Answer, ids: &str) -> (u16, BTreeMap<String, String>, String) {
    let differs = ["date", "traceparent"];
    let without_ids = |text: &str| {
        ids.split('/')
            .fold(text.to_owned(), |text, id| text.replace(id, "ID"))
    };
    let headers = answer
        .headers
        .iter()
        .filter(|(name, _)| !differs.contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), without_ids(value.to_str().expect("text"))));
    (answer.status, headers.collect(), without_ids(&answer.text))
}

fn names_any_of(text: &str, things: &Things, tenant: &str) -> Option<String> {
    let ids = things.ids().into_iter().map(ToOwned::to_owned);
    ids.chain([tenant.to_owned()])
        .find(|id| text.contains(id.as_str()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_keeps_tenants_apart() {
    let world = World::start().await;
    let (own, mirror) = operations(&world.test).await;
    let listed: BTreeSet<&str> = own.iter().map(|operation| operation.id.as_str()).collect();
    let rows: BTreeMap<&str, About> = ROWS.iter().copied().collect();
    let expected: BTreeSet<&str> = rows.keys().copied().collect();
    assert_eq!(
        listed, expected,
        "the document's operations and the rows of the matrix"
    );
    // Lists come first, while nothing changes; what removes something comes last.
    let mut own: Vec<(&Operation, About)> = own
        .iter()
        .map(|operation| (operation, rows[operation.id.as_str()]))
        .collect();
    own.sort_by_key(|(_, about)| match about {
        About::List | About::Lines => 0,
        About::DoomedPlan | About::DoomedEndpoint => 2,
        _ => 1,
    });
    for (operation, about) in own {
        try_row(&world, operation, about).await;
    }
    for operation in &mirror {
        try_mirror(&world, operation).await;
    }
    assert!(mirror.len() > 250, "the document has lost the mirror");
    world.test.stop().await;
}

async fn try_row(world: &World, operation: &Operation, about: About) {
    let place = &operation.id;
    match about {
        About::Open => {
            let answer = world.ask(&world.test.stranger(), operation, "plan-busy").await;
            assert!(answer.status < 400, "{place}: {}", answer.text);
            for (things, tenant) in [(&world.abc, ABC), (&world.nordwind, NORDWIND)] {
                // The document's own example is a plan of the simulator.
                let named = names_any_of(&answer.text, things, tenant);
                assert!(named.is_none() || place == "getOpenapi", "{place}: {named:?}");
            }
        }
        About::Caller => {
            for client in [
                &world.of_abc,
                &world.of_nordwind,
                &world.of_nobody,
                &world.test.client,
            ] {
                world.ask(client, operation, "").await.expect(200);
            }
        }
        About::Page => {
            world.ask(&world.of_nobody, operation, "").await.expect(403);
            let [one, other, all] = [&world.of_abc, &world.of_nordwind, &world.test.client];
            let one = world.ask(one, operation, "").await.expect(200);
            for client in [other, all] {
                let answer = world.ask(client, operation, "").await.expect(200);
                assert_eq!(told(&answer, "-"), told(&one, "-"), "{place}");
            }
        }
        About::List => {
            try_whole(world, operation).await;
            try_pages(world, operation).await;
        }
        About::Lines => try_whole(world, operation).await,
        About::NobodysList => {
            world.ask(&world.of_nobody, operation, "").await.expect(403);
            for client in [&world.of_abc, &world.of_nordwind] {
                let answer = world.ask(client, operation, "").await.expect(200);
                assert_eq!(answer.body["items"], json!([]), "{place}");
                assert_eq!(answer.body["page"]["total"], 1, "{place}");
            }
            let all = world.ask(&world.test.client, operation, "").await.expect(200);
            assert_ne!(all.body["items"], json!([]), "{place}");
        }
        About::Stream => {
            world.ask(&world.of_nobody, operation, "").await.expect(403);
            for (client, own, foreign, foreign_name) in [
                (&world.of_abc, &world.abc, &world.nordwind, NORDWIND),
                (&world.of_nordwind, &world.nordwind, &world.abc, ABC),
            ] {
                let request = client.get(&format!("{}?after=start", operation.path));
                let mut stream = Stream::open(request.into_inner()).await;
                let log = client.get("/api/v1/events?pageSize=100").send().await.expect(200);
                let count = log.body["items"].as_array().expect("items").len();
                let events = stream.events(count).await;
                let ids = ids(&events);
                assert!(
                    ids.contains(&own.event) && !ids.contains(&foreign.event),
                    "{place}"
                );
                let text: String = events.into_iter().filter_map(|event| event.data).collect();
                assert_eq!(names_any_of(&text, foreign, foreign_name), None, "{place}");
            }
        }
        About::Ticket => {
            world.ask(&world.of_nobody, operation, "").await.expect(403);
            for client in [&world.of_abc, &world.of_nordwind, &world.test.client] {
                world.ask(client, operation, "").await.expect(201);
            }
        }
        About::Making => {
            world.ask(&world.of_nobody, operation, "").await.expect(403);
            for client in [&world.of_abc, &world.of_nordwind, &world.test.client] {
                world.ask(client, operation, "").await.expect(201);
            }
        }
        About::OnPremisesPlan => {
            let list = world.test.client.get("/api/v1/failover-plans").send().await;
            let plan = super::id_of(&list.expect(200).body["items"][0]);
            let missing = "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01";
            world.ask(&world.of_nobody, operation, &plan).await.expect(403);
            for client in [&world.of_abc, &world.of_nordwind] {
                let there = world.ask(client, operation, &plan).await;
                let there = there.expect_problem(404, "not-found");
                let nothing = world.ask(client, operation, missing).await;
                assert_eq!(told(&there, &plan), told(&nothing, missing), "{place}");
            }
            let all = world.ask(&world.test.client, operation, &plan).await;
            assert!(![401, 403, 404].contains(&all.status), "{place}: {}", all.text);
        }
        About::Plan
        | About::DoomedPlan
        | About::Operation
        | About::Session
        | About::Event
        | About::Endpoint
        | About::DoomedEndpoint
        | About::Delivery
        | About::Finding
        | About::Job => try_thing(world, operation, about).await,
    }
}

/// Each tenant's list has its own things alone, and that of a caller who is not confined has all.
async fn try_whole(world: &World, operation: &Operation) {
    let place = &operation.id;
    world.ask(&world.of_nobody, operation, "").await.expect(403);
    let one = world.ask(&world.of_abc, operation, "").await.expect(200);
    let other = world.ask(&world.of_nordwind, operation, "").await.expect(200);
    let all = world
        .test
        .client
        .get(&format!("{}?{}", operation.path, whole_page(operation)));
    let all = all.send().await.expect(200);
    for (answer, own, own_name, foreign, foreign_name) in [
        (&one, &world.abc, ABC, &world.nordwind, NORDWIND),
        (&other, &world.nordwind, NORDWIND, &world.abc, ABC),
    ] {
        assert_eq!(names_any_of(&answer.text, foreign, foreign_name), None, "{place}");
        assert!(
            names_any_of(&answer.text, own, own_name).is_some(),
            "{place}: {}",
            answer.text
        );
        assert!(names_any_of(&all.text, own, own_name).is_some(), "{place}");
        if let Some(total) = answer.body["page"]["total"].as_u64() {
            assert_eq!(total, 1, "{place}");
        }
    }
}

/// The query that has all on one page.
fn whole_page(operation: &Operation) -> &'static str {
    if ["exportAudit", "getRecoveryProgramme"].contains(&operation.id.as_str()) {
        ""
    } else {
        "pageSize=100"
    }
}

/// A page of one item leads to the rest of one's own and to nothing else.
async fn try_pages(world: &World, operation: &Operation) {
    let place = &operation.id;
    let one = world.ask(&world.of_abc, operation, "").await.expect(200);
    let mut next = Some(format!("{}?pageSize=1", operation.path));
    let mut seen = 0;
    while let Some(path) = next {
        let page = world.of_abc.get(&path).send().await.expect(200);
        assert_eq!(
            names_any_of(&page.text, &world.nordwind, NORDWIND),
            None,
            "{place}"
        );
        seen += page.body["items"].as_array().expect("items").len();
        if let Some(total) = page.body["page"]["total"].as_u64() {
            assert_eq!(
                total as usize,
                one.body["items"].as_array().expect("items").len(),
                "{place}"
            );
        }
        next = page.body["page"]["next"].as_str().map(ToOwned::to_owned);
    }
    assert_eq!(
        seen,
        one.body["items"].as_array().expect("items").len(),
        "{place}"
    );
}

async fn try_thing(world: &World, operation: &Operation, about: About) {
    let place = &operation.id;
    let (own, foreign, missing) = world.ids(about).await;
    world.ask(&world.of_nobody, operation, &own).await.expect(403);
    for (client, foreign) in [(&world.of_abc, &foreign), (&world.of_nordwind, &own)] {
        let there = world.ask(client, operation, foreign).await;
        let there = there.expect_problem(404, "not-found");
        let nothing = world.ask(client, operation, &missing).await;
        assert_eq!(told(&there, foreign), told(&nothing, &missing), "{place}");
    }
    if let (Some((endpoint, _)), Some((_, job))) = (own.split_once('/'), foreign.split_once('/')) {
        // A job of another's, asked for below an endpoint of one's own.
        let mixed = format!("{endpoint}/{job}");
        let there = world.ask(&world.of_abc, operation, &mixed).await;
        let there = there.expect_problem(404, "not-found");
        let nothing = world.ask(&world.of_abc, operation, &missing).await;
        assert_eq!(told(&there, &mixed), told(&nothing, &missing), "{place}");
    }
    for (client, id) in [(&world.of_abc, &own), (&world.test.client, &foreign)] {
        let answer = world.ask(client, operation, id).await;
        assert!(
            // Whoever requested a failover sees its report, and does not review it.
            answer.body["code"] == "self-approval"
                || (![401, 403, 404].contains(&answer.status) && answer.status < 500),
            "{place}: {}",
            answer.text
        );
    }
}

async fn try_mirror(world: &World, operation: &Operation) {
    let path = operation
        .path
        .split('/')
        .map(|part| {
            if part.starts_with('{') {
                &world.abc.plans[0]
            } else {
                part
            }
        })
        .collect::<Vec<_>>()
        .join("/");
    for client in [&world.of_abc, &world.of_nordwind, &world.of_nobody] {
        client
            .request(&operation.method, &path)
            .refused(403, "insufficient-scope")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_filter_tells_another_tenants_things_from_nothing() {
    let world = World::start().await;
    let (foreign, nothing) = (&world.nordwind, "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01");
    let cases = [
        (
            "/api/v1/operations?planId=",
            foreign.plans[0].clone(),
            nothing.to_owned(),
        ),
        (
            "/api/v1/webhook-deliveries?endpointId=",
            foreign.endpoint.clone(),
            format!("ep_{nothing}"),
        ),
        (
            "/api/v1/events?after=",
            foreign.event.clone(),
            format!("evt_{nothing}"),
        ),
        (
            "/api/v1/events?before=",
            foreign.event.clone(),
            format!("evt_{nothing}"),
        ),
        (
            "/api/v1/failover-sessions?planName=",
            "Nordwind%20Klinik%20Failover%20Plan".to_owned(),
            "Nothing".to_owned(),
        ),
    ];
    for (path, theirs, nothing) in cases {
        let ask = async |id: &str| {
            let request = world.of_abc.get(&format!("{path}{id}"));
            let answer = request.header("x-request-id", "the-same").send().await;
            told(&answer, id)
        };
        assert_eq!(ask(&theirs).await, ask(&nothing).await, "{path}");
    }
    // The numbers that cursors of others hold are none of a confined caller's.
    let all = world
        .test
        .client
        .get("/api/v1/events?pageSize=1")
        .send()
        .await
        .expect(200)
        .body;
    let next: &str = all["page"]["next"].as_str().expect("a next page");
    world.of_abc.get(next).refused(422, "invalid-request").await;
    world.test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_plan_costs_as_many_requests_as_none() {
    let world = World::start().await;
    let missing = "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01";
    let [there, nothing] = [&world.nordwind.plans[1], missing].map(|id| {
        let path = format!("/api/v1/cloud-failover-plans/{id}");
        (path, format!("GET /api/cloud/cloudFailoverPlans/{id}"))
    });
    for (path, _) in [&there, &nothing] {
        for _ in 0..3 {
            world.of_abc.get(path).refused(404, "not-found").await;
        }
        world
            .of_abc
            .post(&format!("{path}/test"))
            .refused(404, "not-found")
            .await;
    }
    let stats = world
        .test
        .sim_control(reqwest::Method::GET, "stats", Value::Null)
        .await;
    let asked = |line: &str| stats["requests"][line].as_u64().unwrap_or_default();
    assert_eq!((asked(&there.1), asked(&nothing.1)), (4, 4), "{stats}");
    assert_eq!(
        stats["requests"][format!("POST /api/cloud/cloudFailoverPlans/{}", world.nordwind.plans[1])],
        Value::Null
    );
    world.test.stop().await;
}
