//! Every operation of the document is tried without a token, with a bad one, and without its scope. What the document
//! lists is what the router serves, so that a new route is covered by being registered.

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use crate::support::sse::Stream;
use crate::support::{Client, TestGateway, seconds_now};

pub struct Operation {
    pub method: String,
    pub path: String,
    scopes: Vec<String>,
    /// Whether any one of the scopes is enough.
    any: bool,
    pub needs_token: bool,
    /// The query parameters that it takes, without those that must be there.
    pub optional: Vec<String>,
    /// The statuses that it is answered with.
    pub statuses: Vec<u16>,
    /// Whether its answer may never end.
    streams: bool,
}

/// Every operation, and every action of one where these need different scopes.
pub async fn operations(test: &TestGateway) -> Vec<Operation> {
    let document = test.stranger().get("/openapi.json").send().await.expect(200).body;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            let none = vec![json!({})];
            let security = operation["security"].as_array().filter(|all| !all.is_empty());
            let security = security.unwrap_or(&none);
            let chooses = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|parameter| parameter["in"] == "query" && parameter["required"] == true);
            let any = security.len() > 1 && !chooses;
            let of = |requirement: &Value| -> Vec<String> {
                let scopes = requirement["bearer"].as_array().into_iter().flatten();
                scopes
                    .map(|scope| scope.as_str().expect("a scope").to_owned())
                    .collect()
            };
            for (nth, requirement) in security.iter().enumerate().take(if any { 1 } else { usize::MAX }) {
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: filled(path) + &query(operation, nth),
                    needs_token: !requirement["bearer"].is_null(),
                    optional: optional(operation),
                    scopes: if any {
                        security.iter().flat_map(of).collect()
                    } else {
                        of(requirement)
                    },
                    any,
                    statuses: statuses(operation),
                    streams: path.as_str() == "/api/v1/events/stream",
                });
            }
        }
    }
    assert!(operations.len() > 300, "the document has lost its operations");
    operations
}

/// The parameters that must be there; of words to choose from, the one that `nth` requirement is about.
fn query(operation: &Value, nth: usize) -> String {
    let mut query = String::new();
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    for parameter in
        parameters.filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
    {
        let mark = if query.is_empty() { '?' } else { '&' };
        let word = parameter["schema"]["enum"][nth].as_str();
        let word = word.unwrap_or("0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01");
        query += &format!("{mark}{}={word}", parameter["name"].as_str().expect("a name"));
    }
    query
}

/// The query parameters that may be left out.
fn optional(operation: &Value) -> Vec<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters
        .filter(|parameter| parameter["in"] == "query" && parameter["required"] != true)
        .map(|parameter| parameter["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// The path with ids that could exist.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| match part {
            "{code}" => "plan-busy",
            "{operationId}" => "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            "{endpointId}" => "ep_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            "{eventId}" => "evt_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            "{findingId}" => "fnd_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            "{jobId}" => "job_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            "{deliveryId}" => "dlv_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            part if part.starts_with('{') => "00000000-0000-4000-8000-000000000000",
            part => part,
        })
        .collect::<Vec<_>>()
        .join("/")
}

/// The statuses of the documented answers.
fn statuses(operation: &Value) -> Vec<u16> {
    let answers = operation["responses"].as_object().expect("responses").keys();
    answers.map(|status| status.parse().expect("a status")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_guarded_operation_needs_a_valid_token_with_its_scope() {
    let test = TestGateway::start().await;
    let all: Vec<&str> = emgate::domain::access::Scope::ALL
        .iter()
        .map(|scope| scope.as_str())
        .collect();
    let every = all.join(" ");
    let expired = test.client_as(&json!({"scope": every, "exp": seconds_now() - 3600}));
    let confined = test.client_as(&json!({"scope": every, "tenants": ["ABC Company"]}));
    let nobodys = test.client_as(&json!({"scope": every.replace("tenants:all", "")}));
    let tried = operations(&test)
        .await
        .into_iter()
        .map(|operation| try_one(&test, operation, &all, &expired, &confined, &nobodys));
    // One after the other they take long, all at once more than the gateway takes.
    let () = stream::iter(tried).buffer_unordered(8).collect().await;
    test.stop().await;
}

async fn try_one(
    test: &TestGateway,
    Operation {
        method,
        path,
        scopes,
        any,
        needs_token,
        streams,
        ..
    }: Operation,
    all: &[&str],
    expired: &Client,
    confined: &Client,
    nobodys: &Client,
) {
    let place = format!("{method} {path}");
    if !needs_token {
        let answer = test.stranger().request(&method, &path).send().await;
        assert!(
            answer.status < 400,
            "{place} is open and answers {}",
            answer.status
        );
        return;
    }
    let answer = test
        .stranger()
        .request(&method, &path)
        .refused(401, "unauthenticated")
        .await;
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer realm=\"emgate\"",
        "{place}"
    );
    let answer = expired
        .request(&method, &path)
        .refused(401, "unauthenticated")
        .await;
    assert!(
        answer
            .header("www-authenticate")
            .contains("error=\"invalid_token\""),
        "{place}"
    );
    if scopes.is_empty() {
        // For any token, however narrow.
        for client in [confined, nobodys, &test.client_with(&[])] {
            client.request(&method, &path).send().await.expect(200);
        }
        return;
    }
    // What a confined caller sees is in `tenants`; the mirror is closed to them.
    if path.starts_with("/api/v1/em") {
        confined
            .request(&method, &path)
            .refused(403, "insufficient-scope")
            .await;
    }
    nobodys
        .request(&method, &path)
        .refused(403, "insufficient-scope")
        .await;
    for scope in &scopes {
        let counts = |other: &str| scope == other || (any && scopes.iter().any(|one| one == other));
        let others: Vec<&str> = all.iter().copied().filter(|other| !counts(other)).collect();
        let without = test.client_with(&others);
        let answer = without
            .request(&method, &path)
            .refused(403, "insufficient-scope")
            .await;
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.contains("error=\"insufficient_scope\""),
            "{place}: {challenge}"
        );
        let named = if any { scopes.join(" ") } else { scope.clone() };
        assert!(
            challenge.contains(&format!("scope=\"{named}\"")),
            "{place}: {challenge}"
        );
    }
    // The other half, without which the above would also hold of a gateway that refuses everybody.
    let named: Vec<&str> = scopes.iter().map(String::as_str).collect();
    if any {
        for scope in named {
            let answer = test.client_with(&[scope]).request(&method, &path).send().await;
            assert!(answer.status < 400, "{place} with {scope}: {}", answer.text);
        }
        return;
    }
    let request = test.client_with(&named).request(&method, &path);
    if streams {
        Stream::open(request.into_inner()).await;
        return;
    }
    let answer = request.send().await;
    assert!(
        ![401, 403].contains(&answer.status),
        "{place} with its scope: {}",
        answer.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_under_api_asks_for_a_token_first() {
    let test = TestGateway::start().await;
    for (method, path) in [
        ("GET", "/api"),
        ("GET", "/api/"),
        ("GET", "/api/v1/nothing"),
        ("GET", "/api/v2/operations"),
        ("DELETE", "/api/v1/operations"),
        ("TRACE", "/api/v1/operations"),
    ] {
        test.stranger()
            .request(method, path)
            .refused(401, "unauthenticated")
            .await;
    }
    test.client.get("/api/v1/nothing").refused(404, "not-found").await;
    test.stranger().get("/nothing").refused(404, "not-found").await;
    test.stop().await;
}
