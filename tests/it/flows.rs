//! The flow definitions of docs/guides/logic-apps.md: their requests, sent to a gateway and followed by the models of the
//! platforms, and what the flow makes of the end.

use std::path::PathBuf;

use emgate::domain::policy::Policies;
use rstest::rstest;
use serde_json::{Value, json};

use crate::automation::{End, Platform, follow};
use crate::support::client::Answer;
use crate::support::receiver::WebhookReceiver;
use crate::support::{PLAN, TestGateway};
use crate::tenants::id_of;

const ACTION: &str = "Test_the_plan";

/// A flow while it runs.
struct Flow {
    definition: Value,
    /// What the action came to, once it has.
    body: Value,
    callback: String,
    run: String,
}

impl Flow {
    fn read(name: &str, run: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("docs/guides")
            .join(name);
        let text = std::fs::read_to_string(path).expect("the file");
        let file: Value = serde_json::from_str(&text).expect("JSON");
        Self {
            definition: file["definition"].clone(),
            body: Value::Null,
            callback: String::new(),
            run: run.to_owned(),
        }
    }

    /// The value of an expression of the Workflow Definition Language, of those that the flows use.
    fn expression(&self, text: &str) -> Value {
        let (head, steps) = text.split_once('?').unwrap_or((text, ""));
        let argument = head.split('\'').nth(1).unwrap_or_default();
        let mut value = match head.split('(').next() {
            // The gateway's address is left out: the client has it.
            Some("parameters") if argument == "emgate" => json!(""),
            Some("parameters") => self.definition["parameters"][argument]["defaultValue"].clone(),
            Some("body") if argument == ACTION => self.body.clone(),
            Some("listCallbackUrl") => json!(self.callback),
            _ if text == "workflow().run.name" => json!(self.run),
            _ => panic!("{text} is an expression that nobody thought of"),
        };
        for step in steps.split('\'').skip(1).step_by(2) {
            value = value[step].clone();
        }
        value
    }

    /// A text with its expressions replaced by their values.
    fn text(&self, text: &str) -> Value {
        if !text.contains("@{") {
            return text
                .strip_prefix('@')
                .map_or_else(|| json!(text), |expression| self.expression(expression));
        }
        let mut parts = text.split("@{");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (expression, rest) = part.split_once('}').expect("an end");
            let value = self.expression(expression);
            whole.push_str(&value.as_str().map_or_else(String::new, str::to_owned));
            whole.push_str(rest);
        }
        json!(whole)
    }

    fn evaluated(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().map(|item| self.evaluated(item)).collect(),
            Value::Object(members) => {
                let members = members.iter();
                members
                    .map(|(name, member)| (name.clone(), self.evaluated(member)))
                    .collect()
            }
            other => other.clone(),
        }
    }

    /// The request of the action, as the platform sends it.
    async fn send(&self, test: &TestGateway, inputs: &Value) -> Answer {
        let inputs = self.evaluated(inputs);
        assert!(
            inputs["authentication"]["type"].is_string(),
            "the platform sends a token"
        );
        let path = inputs["uri"].as_str().expect("an address");
        let mut request = test
            .client
            .request(inputs["method"].as_str().expect("a method"), path);
        for (name, value) in inputs["headers"].as_object().expect("headers") {
            request = request.header(name, value.as_str().expect("text"));
        }
        request.body(inputs["body"].to_string()).send().await
    }

    /// How the run ends, by the flow's own condition, and what it says.
    fn verdict(&self) -> (String, String) {
        let condition = self.evaluated(&self.definition["actions"]["Did_it_succeed"]);
        let any = condition["expression"]["or"]
            .as_array()
            .expect("conditions")
            .iter();
        if any.map(|one| &one["equals"]).any(|pair| pair[0] == pair[1]) {
            return ("Succeeded".to_owned(), String::new());
        }
        let end = &condition["else"]["actions"]["Fail_as_the_test_did"]["inputs"];
        let word = |value: &Value| value.as_str().expect("text").to_owned();
        (word(&end["runStatus"]), word(&end["runError"]["message"]))
    }

    fn action(&self) -> &Value {
        &self.definition["actions"][ACTION]
    }
}

async fn gateway(speed: f64) -> TestGateway {
    TestGateway::builder()
        .sim(move |sim| sim.speed = speed)
        .config(|config| {
            config.auth.tickets = true;
            config.webhooks.allow_private_networks = true;
            config.webhooks.allow_http = true;
            config.policies = Policies::default();
        })
        .start()
        .await
}

#[rstest]
#[case::logic_apps("logic-apps/test-plan.json", Platform::LogicApps)]
#[case::power_automate("power-automate/test-plan.json", Platform::PowerAutomate)]
#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_polls_tests_once_and_ends_as_the_test_did(
    #[case] file: &str,
    #[case] platform: Platform,
) {
    for (speed, stopped, status) in [(100.0, false, "Succeeded"), (1.0, true, "Failed")] {
        let test = gateway(speed).await;
        let mut flow = Flow::read(file, "08584700000000000000");
        assert_eq!(flow.action()["type"], "Http");
        assert!(
            flow.action()["operationOptions"].is_null(),
            "the asynchronous pattern is on"
        );
        let first = flow.send(&test, &flow.action()["inputs"]).await.expect(202);
        // Its retry policy repeats what was not answered.
        let again = flow.send(&test, &flow.action()["inputs"]).await.expect(202);
        assert_eq!(again.body["id"], first.body["id"]);
        assert_eq!(first.body["plan"]["id"], PLAN);
        assert_eq!(first.body["metadata"]["run"], flow.run);
        let operation = format!("/api/v1/operations/{}", id_of(&first.body));
        let end = follow(&test, platform, again, async |polls| {
            if stopped && polls == 3 {
                test.until(&operation, |body| !body["session"].is_null()).await;
                test.client
                    .post(&format!("{operation}/cancel"))
                    .send()
                    .await
                    .expect(202);
            }
        });
        let End::Result(body) = end.await else {
            panic!("the platform sees no end");
        };
        flow.body = body;
        let (told, message) = flow.verdict();
        assert_eq!(told, status, "{}: {message}", flow.body);
        assert!(!stopped || message.contains("/api/v1/operations/"), "{message}");
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_is_called_back_ends_as_the_test_did() {
    let test = gateway(100.0).await;
    let mut receiver = WebhookReceiver::start().await;
    let mut flow = Flow::read("logic-apps/callback.json", "08584700000000000001");
    flow.callback = receiver.url();
    assert_eq!(flow.action()["type"], "HttpWebhook");
    let subscribe = flow.action()["inputs"]["subscribe"].clone();
    let first = flow.send(&test, &subscribe).await.expect(202);
    // Whoever follows the answer's address reads the operation, and does not take that for the end of a poll.
    let read = test.client.get(first.header("location")).send().await.expect(200);
    assert_eq!(read.body["id"], first.body["id"]);
    let again = flow.send(&test, &subscribe).await.expect(200);
    assert_eq!(again.body["id"], first.body["id"]);
    flow.body = receiver.next().await.json;
    assert_eq!(flow.body["data"]["operation"]["id"], first.body["id"]);
    assert_eq!(flow.verdict().0, "Succeeded", "{}", flow.body);
    assert!(receiver.waiting().is_empty(), "one call for both requests");
    test.stop().await;
}
