//! Every operation of the document is tried without a token, with a bad one, and without its scope. What the document
//! lists is what the router serves, so that a new route is covered by being registered.

use serde_json::{Value, json};

use crate::support::{Client, TestGateway, seconds_now, token};

struct Operation {
    method: String,
    path: String,
    scopes: Vec<String>,
}

async fn operations(test: &TestGateway) -> Vec<Operation> {
    let document = test.stranger().get("/openapi.json").send().await.expect(200).body;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path item") {
            let scopes = operation["security"][0]["bearer"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            operations.push(Operation {
                method: method.to_uppercase(),
                path: filled(path),
                scopes: scopes
                    .iter()
                    .map(|scope| scope.as_str().expect("a scope").to_owned())
                    .collect(),
            });
        }
    }
    assert!(operations.len() > 20, "the document has lost its operations");
    operations
}

/// The path with ids that could exist.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| match part {
            "{code}" => "plan-busy",
            "{operationId}" => "0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            "{endpointId}" => "ep_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            "{deliveryId}" => "dlv_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
            part if part.starts_with('{') => "00000000-0000-4000-8000-000000000000",
            part => part,
        })
        .collect::<Vec<_>>()
        .join("/")
}

fn client(test: &TestGateway, claims: &Value) -> Client {
    Client::new(test.addr(), Some(token(claims)))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_guarded_operation_needs_a_token_that_is_valid_and_carries_its_scope() {
    let test = TestGateway::start().await;
    let all: Vec<&str> = emgate::domain::access::Scope::ALL
        .iter()
        .map(|scope| scope.as_str())
        .collect();
    let expired = client(
        &test,
        &json!({"scope": all.join(" "), "exp": seconds_now() - 3600}),
    );
    let confined = client(
        &test,
        &json!({"scope": all.join(" "), "tenants": ["ABC Company"]}),
    );
    let nobodys = client(&test, &json!({"scope": all.join(" ").replace("tenants:all", "")}));
    for Operation { method, path, scopes } in operations(&test).await {
        let place = format!("{method} {path}");
        if scopes.is_empty() {
            let answer = test.stranger().request(&method, &path).send().await;
            assert!(
                answer.status < 400,
                "{place} is open and answers {}",
                answer.status
            );
            continue;
        }
        let answer = test
            .stranger()
            .request(&method, &path)
            .send()
            .await
            .expect_problem(401, "unauthenticated");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"emgate\"",
            "{place}"
        );
        let answer = expired
            .request(&method, &path)
            .send()
            .await
            .expect_problem(401, "unauthenticated");
        assert!(
            answer
                .header("www-authenticate")
                .contains("error=\"invalid_token\""),
            "{place}"
        );
        confined
            .request(&method, &path)
            .send()
            .await
            .expect_problem(403, "insufficient-scope");
        nobodys
            .request(&method, &path)
            .send()
            .await
            .expect_problem(403, "insufficient-scope");
        for scope in &scopes {
            let others: Vec<&str> = all.iter().copied().filter(|other| other != scope).collect();
            let without = test.client_with(&others);
            let answer = without
                .request(&method, &path)
                .send()
                .await
                .expect_problem(403, "insufficient-scope");
            let challenge = answer.header("www-authenticate");
            assert!(
                challenge.contains("error=\"insufficient_scope\""),
                "{place}: {challenge}"
            );
            assert!(
                challenge.contains(&format!("scope=\"{scope}\"")),
                "{place}: {challenge}"
            );
        }
        // The other half, without which the above would also hold of a gateway that refuses everybody.
        let named: Vec<&str> = scopes.iter().map(String::as_str).collect();
        let answer = test.client_with(&named).request(&method, &path).send().await;
        assert!(
            ![401, 403].contains(&answer.status),
            "{place} with its scope: {}",
            answer.text
        );
    }
    test.stop().await;
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
            .send()
            .await
            .expect_problem(401, "unauthenticated");
    }
    test.client
        .get("/api/v1/nothing")
        .send()
        .await
        .expect_problem(404, "not-found");
    test.stranger()
        .get("/nothing")
        .send()
        .await
        .expect_problem(404, "not-found");
    test.stop().await;
}
