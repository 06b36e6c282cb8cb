//! Webhook endpoints, deliveries and callbacks as callers see them; the sending is tested in `tests/it/delivery`.

use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::{PLAN, TestGateway};

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";

async fn open_gateway() -> TestGateway {
    TestGateway::builder()
        .config(|config| {
            config.webhooks.allow_private_networks = true;
            config.webhooks.allow_http = true;
        })
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_shows_its_secret_once() {
    let test = TestGateway::start().await;
    let wanted = json!({
        "url": "https://user:word@hooks.example/a?token=abc",
        "description": "Portal",
        "headers": {"X-Api-Key": "very-secret", "X-Site": "7"},
    });
    let made = test.client.post(ENDPOINTS).json(&wanted).send().await.expect(201);
    let id = made.body["id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("ep_"), "{id}");
    assert!(
        made.body["secret"]
            .as_str()
            .is_some_and(|secret| secret.starts_with("whsec_"))
    );
    let link = made.header("location").to_owned();
    assert_eq!(link, format!("{ENDPOINTS}/{id}"));
    let read = test.client.get(&link).send().await.expect(200);
    assert!(read.body.get("secret").is_none());
    let list = test.client.get(ENDPOINTS).send().await.expect(200);
    for text in [&made.text, &read.text, &list.text] {
        for secret in ["word@", "abc", "very-secret"] {
            assert!(!text.contains(secret), "{secret} is shown: {text}");
        }
    }
    assert_eq!(
        read.body["headers"]["X-Site"]
            .as_str()
            .or(read.body["headers"]["x-site"].as_str()),
        Some("7")
    );
    assert_eq!(
        (
            &read.body["format"],
            &read.body["enabled"],
            &read.body["maxConcurrency"]
        ),
        (&json!("standard"), &json!(true), &json!(4))
    );

    let patch = test
        .client
        .request("PATCH", &link)
        .header("content-type", "application/merge-patch+json");
    let patched = patch
        .body(r#"{"enabled": false, "description": null}"#)
        .send()
        .await
        .expect(200);
    assert_eq!(
        (&patched.body["enabled"], &patched.body["description"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(patched.body["url"], read.body["url"]);

    test.client.request("DELETE", &link).send().await.expect(204);
    for method in ["GET", "DELETE"] {
        test.client.request(method, &link).refused(404, "not-found").await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_cannot_be_is_422_with_its_place() {
    let test = TestGateway::start().await;
    for (wanted, pointer) in [
        (json!({}), ""),
        (json!({"url": 7}), "/url"),
        (json!({"url": "not a url"}), "/url"),
        (json!({"url": "http://hooks.example/"}), "/url"),
        (json!({"url": "https://127.0.0.1/"}), "/url"),
        (json!({"url": "https://169.254.169.254/latest/meta-data"}), "/url"),
        (json!({"url": "https://[::ffff:10.0.0.1]/"}), "/url"),
        (json!({"url": "https://hooks.example/", "uri": 1}), "/uri"),
        (
            json!({"url": "https://hooks.example/", "format": "carrier pigeon"}),
            "/format",
        ),
        (
            json!({"url": "https://hooks.example/", "maxConcurrency": 0}),
            "/maxConcurrency",
        ),
        (
            json!({"url": "https://hooks.example/", "secret": "short"}),
            "/secret",
        ),
        (
            json!({"url": "https://hooks.example/", "secretText": "too short"}),
            "/secretText",
        ),
        (
            json!({"url": "https://hooks.example/", "secretText": "an umlaut is not pläin ASCII text"}),
            "/secretText",
        ),
        (
            json!({"url": "https://hooks.example/", "secretText": "x".repeat(32),
                "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}),
            "/secretText",
        ),
        (
            json!({"url": "https://hooks.example/", "signatures": ["v1a"]}),
            "/signatures",
        ),
        (
            json!({"url": "https://hooks.example/", "bodySignature": "gitlab"}),
            "/bodySignature",
        ),
        (json!({"url": "https://***@hooks.example/"}), "/url"),
        (
            json!({"url": "https://hooks.example/", "headers": {"X-Api-Key": "***"}}),
            "/headers/X-Api-Key",
        ),
        (
            json!({"url": "https://hooks.example/", "filter": {"planIds": ["7"]}}),
            "/filter/planIds/0",
        ),
        (
            json!({"url": "https://hooks.example/", "headers": {"Host": "x"}}),
            "/headers/Host",
        ),
    ] {
        let answer = test
            .client
            .post(ENDPOINTS)
            .json(&wanted)
            .refused(422, "invalid-request")
            .await;
        assert!(
            answer.pointers()[0].starts_with(pointer),
            "{wanted}: {:?}",
            answer.pointers()
        );
    }
    let keyed = test
        .client
        .post(ENDPOINTS)
        .header("idempotency-key", "k")
        .json(&json!({"url": "https://hooks.example/"}));
    assert_eq!(
        keyed.refused(422, "invalid-request").await.pointers(),
        ["Idempotency-Key"]
    );
    let list = test.client.get(ENDPOINTS).send().await.expect(200);
    assert_eq!(
        list.body["items"],
        json!([]),
        "nothing of all this may have been made"
    );
    for (method, action) in [
        ("POST", "rotate-secret"),
        ("POST", "recover"),
        ("POST", "replay"),
        ("GET", "secret"),
        ("GET", "jobs"),
        ("GET", "jobs/job_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01"),
    ] {
        let path = format!("{ENDPOINTS}/ep_0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01/{action}");
        let mut request = test.client.request(method, &path);
        if ["recover", "replay"].contains(&action) {
            request = request.json(&json!({"since": "2026-01-01T00:00:00Z"}));
        }
        request.refused(404, "not-found").await;
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_makes_a_delivery_that_lists_show() {
    let test = open_gateway().await;
    let wanted = json!({"url": "http://127.0.0.1:9/hook", "enabled": false});
    let made = test.client.post(ENDPOINTS).json(&wanted).send().await.expect(201);
    let id = made.body["id"].as_str().expect("an id").to_owned();
    let delivery = test
        .client
        .post(&format!("{ENDPOINTS}/{id}/test"))
        .send()
        .await
        .expect(202);
    assert_eq!(
        delivery.body["state"], "held",
        "a disabled endpoint gets it when it is enabled"
    );
    assert_eq!(delivery.body["eventType"], "webhook.test");
    assert_eq!(delivery.body["endpointId"], id.as_str());
    let read = test
        .client
        .get(delivery.header("location"))
        .send()
        .await
        .expect(200);
    assert_eq!(read.body["id"], delivery.body["id"]);
    for (query, count) in [
        (format!("endpointId={id}"), 1),
        ("state=held,pending".to_owned(), 1),
        ("state=delivered".to_owned(), 0),
        ("eventType=webhook.test&state=held".to_owned(), 1),
        ("eventType=failover.session.finished".to_owned(), 0),
    ] {
        let list = test
            .client
            .get(&format!("/api/v1/webhook-deliveries?{query}"))
            .send()
            .await
            .expect(200);
        assert_eq!(
            list.body["items"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
    for (query, name) in [
        ("state=lost", "state"),
        ("endpointId=7", "endpointId"),
        ("eventType=test", "eventType"),
    ] {
        let answer = test
            .client
            .get(&format!("/api/v1/webhook-deliveries?{query}"))
            .send()
            .await;
        assert_eq!(answer.expect_problem(422, "invalid-request").pointers(), [name]);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_checked_before_anything_is_written() {
    let path = format!("/api/v1/cloud-failover-plans/{PLAN}/test");
    let test = TestGateway::start().await;
    for (callback, pointer) in [
        (json!({"url": "https://10.0.0.1/"}), "/callback/url"),
        (json!({"url": "ftp://hooks.example/"}), "/callback/url"),
        (
            json!({"url": "https://hooks.example/", "secret": "x"}),
            "/callback/secret",
        ),
        (
            json!({"url": "https://hooks.example/", "format": "slack"}),
            "/callback/format",
        ),
    ] {
        let answer = test
            .client
            .post(&path)
            .json(&json!({"callback": callback}))
            .send()
            .await;
        assert_eq!(
            answer.expect_problem(422, "invalid-request").pointers(),
            [pointer],
            "{callback}"
        );
    }
    let none = test.client.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(none.body["items"], json!([]));
    test.stop().await;

    let test = open_gateway().await;
    // No webhooks:* scope is needed for a callback.
    let caller = test.client_with(&["plans:test", "operations:read"]);
    let body = json!({"callback": {"url": "http://127.0.0.1:9/hook?key=xyzzy"}});
    let made = caller
        .post(&path)
        .header("idempotency-key", "once")
        .json(&body)
        .send()
        .await
        .expect(202);
    let secret = made.body["callback"]["secret"]
        .as_str()
        .expect("a secret, once")
        .to_owned();
    assert!(secret.starts_with("whsec_"));
    let again = caller
        .post(&path)
        .header("idempotency-key", "once")
        .json(&body)
        .send()
        .await
        .expect(200);
    let read = caller.get(made.header("location")).send().await.expect(200);
    for answer in [&again, &read] {
        assert!(answer.body["callback"].get("secret").is_none(), "{}", answer.text);
        assert!(!answer.text.contains("xyzzy"), "{}", answer.text);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_written_back_as_it_was_read() {
    let test = TestGateway::start().await;
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["gateway.example".to_owned()]).expect("parameters");
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    let key = key.serialize_pem();
    let wanted = json!({
        "url": "https://user:word@hooks.example/a?token=abc",
        "description": "Portal",
        "eventTypes": ["failover.session.finished"],
        "headers": {"X-Api-Key": "very-secret", "X-Site": "7"},
        "signatures": ["v1", "v1a"],
        "timeout": 30,
        "rate": 5,
        "caCertificate": certificate,
        "clientCertificate": {"certificate": certificate, "privateKey": key},
        "proxy": "http://user:word@proxy.example:3128",
    });
    let made = test.client.post(ENDPOINTS).json(&wanted).send().await.expect(201);
    let link = made.header("location").to_owned();
    let secret = async || {
        let read = test
            .client
            .get(&format!("{link}/secret"))
            .send()
            .await
            .expect(200);
        assert_eq!(read.header("cache-control"), "no-store");
        read.body["secret"].clone()
    };
    let read = test.client.get(&link).send().await.expect(200);
    assert!(
        read.body["publicKey"]
            .as_str()
            .is_some_and(|key| key.starts_with("whpk_"))
    );
    assert_eq!(read.body["clientCertificate"]["privateKey"], "***");
    assert_eq!(read.body["proxy"], "http://***@proxy.example:3128");
    assert!(!read.text.contains("PRIVATE KEY") && !read.text.contains("word"));
    // As it was read, and as that was answered, which has warnings besides: nothing changes, the tag neither.
    let mut written = read.body.clone();
    for _ in 0..2 {
        let put = test
            .client
            .request("PUT", &link)
            .header("if-match", read.header("etag"))
            .json(&written)
            .send()
            .await
            .expect(200);
        written = put.body.clone();
        let mut shown = put.body.clone();
        let warnings = shown.as_object_mut().expect("an object").remove("warnings");
        assert_eq!((shown, warnings), (read.body.clone(), Some(json!([]))));
        assert_eq!(put.header("etag"), read.header("etag"));
    }
    assert_eq!(secret().await, made.body["secret"]);

    // Whole: what is left out has its default, but for the secret.
    let mut less = json!({"url": read.body["url"], "headers": {"X-Api-Key": "***"}});
    let put = test
        .client
        .request("PUT", &link)
        .json(&less)
        .send()
        .await
        .expect(200);
    assert_eq!(
        (
            &put.body["description"],
            &put.body["signatures"],
            &put.body["publicKey"]
        ),
        (&Value::Null, &json!(["v1"]), &Value::Null)
    );
    assert_eq!(put.body["headers"], json!({"X-Api-Key": "***"}));
    assert_eq!(secret().await, made.body["secret"]);
    test.client
        .request("PUT", &link)
        .header("if-match", read.header("etag"))
        .json(&less)
        .refused(412, "precondition-failed")
        .await;
    test.client
        .request("PATCH", &link)
        .header("if-match", "\"other\"")
        .json(&json!({"description": "x"}))
        .refused(412, "precondition-failed")
        .await;
    test.client
        .request("DELETE", &link)
        .header("if-match", read.header("etag"))
        .refused(412, "precondition-failed")
        .await;
    for (member, value) in [
        ("url", json!("https://***@hooks.example/b")),
        ("headers", json!({"X-Other-Key": "***"})),
    ] {
        let before = less[member].clone();
        less[member] = value;
        let refused = test.client.request("PUT", &link).json(&less);
        let refused = refused.refused(422, "invalid-request").await;
        assert!(
            refused.pointers()[0].starts_with(&format!("/{member}")),
            "{member}"
        );
        less[member] = before;
    }
    // Another secret signs beside the one before.
    less["secretText"] = json!("a secret that is plain text");
    test.client
        .request("PUT", &link)
        .json(&less)
        .send()
        .await
        .expect(200);
    let shown = test
        .client
        .get(&format!("{link}/secret"))
        .send()
        .await
        .expect(200);
    assert_ne!(shown.body["secret"], made.body["secret"]);
    assert!(shown.body["previousSecretExpiresAt"].is_string());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_answers_the_new_secret_and_may_be_repeated() {
    let test = TestGateway::start().await;
    let made = test
        .client
        .post(ENDPOINTS)
        .json(&json!({"url": "https://hooks.example/"}));
    let made = made.send().await.expect(201);
    let rotate = format!("{}/rotate-secret", made.header("location"));
    let first = test.client.post(&rotate).send().await.expect(200);
    assert_ne!(first.body["secret"], made.body["secret"]);
    assert_eq!(first.header("cache-control"), "no-store");
    let same = json!({"secret": first.body["secret"]});
    let again = test.client.post(&rotate).json(&same).send().await.expect(200);
    assert_eq!(again.body, first.body, "it has that secret already");
    for (body, pointer) in [
        (json!({"secret": "x"}), "/secret"),
        (json!({"secretText": "x"}), "/secretText"),
        (
            json!({"secret": first.body["secret"], "secretText": "x".repeat(24)}),
            "/secretText",
        ),
        (json!({"key": 1}), "/key"),
    ] {
        let refused = test.client.post(&rotate).json(&body);
        assert_eq!(
            refused.refused(422, "invalid-request").await.pointers(),
            [pointer]
        );
    }
    let reader = test.client_with(&["webhooks:read"]);
    reader
        .get(&format!("{}/secret", made.header("location")))
        .refused(403, "insufficient-scope")
        .await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_read_where_its_location_says_and_listed() {
    let test = TestGateway::start().await;
    let made = test
        .client
        .post(ENDPOINTS)
        .json(&json!({"url": "https://hooks.example/"}));
    let link = made.send().await.expect(201).header("location").to_owned();
    for kind in ["recover", "replay"] {
        let begun = test
            .client
            .post(&format!("{link}/{kind}"))
            .json(&json!({"since": "2026-01-01T00:00:00Z"}))
            .send()
            .await
            .expect(202);
        let place = begun.header("location").to_owned();
        let id = begun.body["id"].as_str().expect("an id");
        assert_eq!(place, format!("{link}/jobs/{id}"));
        assert_eq!(begun.body["kind"], kind);
        assert_eq!(begun.body["since"], "2026-01-01T00:00:00Z");
        let done = test.until(&place, |job| job["state"] == "finished").await;
        assert_eq!(done["done"], done["total"]);
        assert!(done["finishedAt"].is_string() && done["createdAt"].is_string());
        let list = test.client.get(&format!("{link}/jobs")).send().await.expect(200);
        assert_eq!(list.body["items"][0], done, "newest first");
    }
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"since": "yesterday"}), "/since"),
        (json!({"since": "2999-01-01T00:00:00Z"}), "/since"),
    ] {
        let refused = test.client.post(&format!("{link}/replay")).json(&body);
        let refused = refused.refused(422, "invalid-request").await;
        assert!(refused.pointers()[0].starts_with(pointer), "{body}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_shown_does_not_follow_an_endpoint_elsewhere() {
    let test = TestGateway::start().await;
    let make = async |wanted: Value| {
        let made = test.client.post(ENDPOINTS).json(&wanted).send().await.expect(201);
        made.header("location").to_owned()
    };
    let change = async |link: &str, patch: Value| {
        let request = test.client.request("PATCH", link);
        request.json(&patch).send().await
    };
    let pointers = |answer: &Answer| -> Vec<String> {
        let errors = answer.body["errors"].as_array().expect("errors").iter();
        errors
            .map(|error| error["pointer"].as_str().expect("a pointer").to_owned())
            .collect()
    };
    let elsewhere = json!({"url": "https://elsewhere.example/hook"});
    let headers =
        json!({"url": "https://hooks.example/a", "headers": {"Authorization": "Bearer abc", "X-Site": "7"}});
    let link = make(headers).await;
    change(&link, json!({"url": "https://hooks.example/b"}))
        .await
        .expect(200);
    let refused = change(&link, elsewhere.clone()).await.expect(422);
    assert_eq!(pointers(&refused), ["/headers/Authorization"]);
    let anew = json!({"url": "https://elsewhere.example/hook", "headers": {"Authorization": "Bearer def"}});
    change(&link, anew).await.expect(200);

    let bot = json!({"url": "https://slack.com/api/", "format": "slack", "bot": {"token": "xoxb-1", "channel": "C1"}});
    let link = make(bot).await;
    let refused = change(&link, elsewhere).await.expect(422);
    assert_eq!(pointers(&refused), ["/bot/token"]);

    // A proxy of one's own, with an authority of one's own, reads what goes through it.
    let proxy = json!({"proxy": "http://proxy.example:3128"});
    let refused = change(&link, proxy.clone()).await.expect(422);
    assert_eq!(pointers(&refused), ["/url", "/bot/token"]);
    let plain = make(json!({"url": "https://hooks.example/a"})).await;
    change(&plain, proxy).await.expect(200);

    // Under another format the address would be shown.
    let link = make(json!({"url": "https://hooks.slack.com/services/T0/B0/hush", "format": "slack"})).await;
    let refused = change(&link, json!({"format": "standard"})).await.expect(422);
    assert_eq!(pointers(&refused), ["/url"]);
    assert!(!refused.text.contains("hush"), "{}", refused.text);

    // A mask that stands for nothing.
    for (wanted, pointer) in [
        (
            json!({"url": "https://slack.com/api/", "format": "slack", "bot": {"token": "***", "channel": "C1"}}),
            "/bot/token",
        ),
        (
            json!({"url": "https://events.pagerduty.com/v2/enqueue", "format": "pagerduty", "routingKey": "***"}),
            "/routingKey",
        ),
    ] {
        let refused = test.client.post(ENDPOINTS).json(&wanted).send().await.expect(422);
        assert_eq!(pointers(&refused), [pointer]);
    }
    let forgotten = json!({"url": "https://hooks.slack.com/services/T0/B0/x"});
    let made = test
        .client
        .post(ENDPOINTS)
        .json(&forgotten)
        .send()
        .await
        .expect(201);
    assert_eq!(made.body["warnings"][0]["pointer"], "/url", "{}", made.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_whose_names_differ_in_case_alone_are_refused_by_both_names() {
    let test = TestGateway::start().await;
    let plain = json!({"url": "https://hooks.example/"});
    let made = test.client.post(ENDPOINTS).json(&plain).send().await.expect(201);
    let link = made.header("location");
    let mut wanted = plain.clone();
    wanted["headers"] = json!({"X-Site": "7", "x-site": "8", "X-Other": "9"});
    for (method, path, body) in [
        ("POST", ENDPOINTS, &wanted),
        ("PUT", link, &wanted),
        (
            "PATCH",
            link,
            &json!({"headers": {"X-Site": null, "x-site": "8"}}),
        ),
    ] {
        let refused = test.client.request(method, path).json(body);
        let refused = refused.refused(422, "invalid-request").await;
        assert_eq!(refused.pointers(), ["/headers/x-site"], "{method}");
        let detail = refused.body["errors"][0]["detail"].as_str().expect("a detail");
        assert!(
            detail.contains("`X-Site`") && detail.contains("`x-site`"),
            "{detail}"
        );
    }
    // In one spelling alone it replaces what is there in another.
    for headers in [json!({"X-Site": "7"}), json!({"x-SITE": "8"})] {
        let patch = test
            .client
            .request("PATCH", link)
            .json(&json!({ "headers": headers }));
        assert_eq!(patch.send().await.expect(200).body["headers"], headers);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_of_the_secret_is_told_where_secrets_are_rotated() {
    let test = TestGateway::start().await;
    let plain = json!({"url": "https://hooks.example/"});
    let made = test.client.post(ENDPOINTS).json(&plain).send().await.expect(201);
    let link = made.header("location");
    for member in ["secret", "secretText"] {
        let patch = json!({member: "a secret that is plain text", "description": "x"});
        let refused = test.client.request("PATCH", link).json(&patch);
        let refused = refused.refused(422, "invalid-request").await;
        assert_eq!(refused.pointers(), [format!("/{member}")]);
        assert!(refused.text.contains("rotate-secret"), "{}", refused.text);
        assert!(!refused.text.contains("plain text"), "{}", refused.text);
    }
    let unknown = test.client.request("PATCH", link).json(&json!({"sekret": 1}));
    assert_eq!(
        unknown.refused(422, "invalid-request").await.pointers(),
        ["/sekret"]
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_signs_is_a_warning_for_a_chat_which_verifies_nothing() {
    let test = TestGateway::start().await;
    let wanted = json!({"url": "https://hooks.slack.com/services/T0/B0/x", "format": "slack",
        "signatures": ["v1", "v1a"], "bodySignature": "github", "secretText": "a secret that is plain text"});
    let made = test.client.post(ENDPOINTS).json(&wanted).send().await.expect(201);
    let told = |answer: &Answer| -> Vec<String> {
        let warnings = answer.body["warnings"].as_array().expect("warnings").iter();
        warnings
            .map(|warning| warning["pointer"].as_str().expect("a pointer").to_owned())
            .collect()
    };
    assert_eq!(told(&made), ["/signatures", "/bodySignature", "/secretText"]);
    let link = made.header("location");
    let patch = test.client.request("PATCH", link);
    let patched = patch.json(&json!({"signatures": null})).send().await.expect(200);
    assert_eq!(told(&patched), ["/bodySignature"]);
    let mut replaced = wanted.clone();
    replaced["url"] = "https://hooks.example/".into();
    replaced["format"] = "standard".into();
    let put = test
        .client
        .request("PUT", link)
        .json(&replaced)
        .send()
        .await
        .expect(200);
    assert_eq!(told(&put), Vec::<String>::new());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_did_not_change_is_304_and_its_tag_guards_its_settings() {
    let test = open_gateway().await;
    let wanted = json!({"url": "http://127.0.0.1:9/hook"});
    let made = test.client.post(ENDPOINTS).json(&wanted).send().await.expect(201);
    let link = made.header("location");
    let tag = made.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    let again = async |tag: &str| test.client.get(link).header("if-none-match", tag).send().await;
    for known in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"x\", {tag}"),
        "*".to_owned(),
    ] {
        let same = again(&known).await.expect(304);
        assert_eq!(
            (same.header("etag"), same.text.as_str()),
            (tag.as_str(), ""),
            "{known}"
        );
    }
    assert_eq!(test.client.get(link).send().await.expect(200).header("etag"), tag);
    // How it does is part of what a reader has, and no change that a writer has to know of.
    test.client.post(&format!("{link}/test")).send().await.expect(202);
    let failed = test
        .until(link, |endpoint| !endpoint["lastError"].is_null())
        .await;
    assert_eq!(failed["health"], "degraded");
    assert!(
        failed["lastError"]
            .as_str()
            .is_some_and(|why| why.contains("connection")),
        "{failed}"
    );
    let now = again(&tag).await.expect(200);
    assert_ne!(now.header("etag"), tag);
    let patch = async |tag: &str, description: &str| {
        let patch = test.client.request("PATCH", link).header("if-match", tag);
        patch.json(&json!({ "description": description })).send().await
    };
    let changed = patch(&tag, "first").await.expect(200);
    patch(&tag, "second")
        .await
        .expect_problem(412, "precondition-failed");
    patch(changed.header("etag"), "second").await.expect(200);
    test.stop().await;
}
