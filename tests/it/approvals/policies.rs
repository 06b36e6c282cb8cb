//! What policies refuse, on every way to an action.

use emgate::clock::{Clock as _, SystemClock};
use emgate::domain::access::Scope;
use emgate::domain::policy::window::{WeekTime, Window};
use emgate::domain::policy::{Admitted, Policy};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

use super::{approver, gateway, held_back, path, policy, sent};
use crate::support::{PLAN, plan};

/// A window of an hour in two days, and when it is open.
pub fn in_two_days() -> (Window, Timestamp, Timestamp) {
    let day = TimeZone::UTC.to_datetime(SystemClock.now()).date() + 2.days();
    let time = |hour: i16| WeekTime {
        day: day.weekday(),
        minute: hour * 60,
    };
    let moment = |hour| {
        day.at(hour, 0, 0, 0)
            .to_zoned(TimeZone::UTC)
            .expect("a moment")
            .timestamp()
    };
    let window = Window {
        from: time(8),
        to: time(9),
        zone: TimeZone::UTC,
    };
    (window, moment(8), moment(9))
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_its_window_an_action_is_denied_with_the_next_one() {
    let (window, from, to) = in_two_days();
    let test = gateway(vec![Policy {
        windows: vec![window],
        ..held_back(1)
    }])
    .await;
    let denied = test
        .client
        .post(&plan("/start"))
        .refused(403, "policy-denied")
        .await;
    let moment = |name: &str| -> Timestamp {
        let text = denied.body["nextWindow"][name].as_str().expect("a moment");
        text.parse().expect("a moment")
    };
    assert_eq!((moment("from"), moment("to")), (from, to));
    // Who reads the sentence alone, as the commands show it, learns when to come back.
    let (detail, when) = (&denied.body["detail"], &denied.body["nextWindow"]["from"]);
    let when = format!("its next window opens at {}", when.as_str().expect("a moment"));
    assert!(
        detail.as_str().is_some_and(|detail| detail.ends_with(&when)),
        "{detail}"
    );
    test.client.post(&plan("/test")).send().await.expect(202);
    assert_eq!(sent(&test, "POST").await, 1, "the test alone");
    let list = test.client.get("/api/v1/operations").send().await.expect(200);
    assert_eq!(
        list.body["items"].as_array().map(Vec::len),
        Some(1),
        "{}",
        list.text
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whom_a_policy_does_not_admit_is_denied() {
    let test = gateway(vec![Policy {
        callers: Admitted {
            subjects: vec!["dr-lead".to_owned()],
            scopes: vec![Scope::PlansStart],
        },
        ..policy("leads only")
    }])
    .await;
    let denied = test
        .client
        .post(&plan("/start"))
        .refused(403, "policy-denied")
        .await;
    assert!(
        denied.body["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("leads only"))
    );
    assert_eq!(denied.body.get("nextWindow"), None);
    let lead = approver(&test, "dr-lead");
    lead.post(&plan("/start")).send().await.expect(202);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_is_1_to_500_characters() {
    let test = gateway(vec![Policy {
        reason_required: true,
        ..policy("production")
    }])
    .await;
    let start = || test.client.post(&plan("/start"));
    for body in [
        json!({}),
        json!({"reason": null}),
        json!({"reason": ""}),
        json!({"reason": "  "}),
        json!({"reason": "x".repeat(501)}),
        json!({"reason": 7}),
    ] {
        let refused = start().json(&body).refused(422, "invalid-request").await;
        assert_eq!(refused.pointers(), ["/reason"], "{body}");
    }
    let started = start()
        .json(&json!({"reason": "ü".repeat(500)}))
        .send()
        .await
        .expect(202);
    assert_eq!(started.body["state"], "running");
    assert_eq!(started.body["approval"], json!(null));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mirror_is_no_way_around_a_policy() {
    let test = gateway(vec![held_back(1)]).await;
    let mirrored = format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}?action=start");
    let start = test.client.post(&mirrored).json(&json!({"startNow": true}));
    let asked = start.send().await.expect(202);
    assert_eq!(asked.body["state"], "awaitingApproval", "{}", asked.text);
    assert_eq!(sent(&test, "POST").await, 0);
    let approval = approver(&test, "dr-lead").post(&path(&asked, "/approve"));
    approval.send().await.expect(202);
    assert_eq!(sent(&test, "POST").await, 1);
    test.stop().await;

    let test = gateway(vec![Policy {
        reason_required: true,
        ..policy("production")
    }])
    .await;
    let plan_path = format!("/api/v1/em/cloud/cloudFailoverPlans/{PLAN}");
    for request in [
        test.client.post(&mirrored).json(&json!({"startNow": true})),
        test.client.post(&format!("{plan_path}?action=test")),
        test.client.post(&format!("{plan_path}?action=undo")),
        test.client.request("PUT", &plan_path).json(&json!({})),
        test.client.request("DELETE", &plan_path),
    ] {
        let refused = request.refused(422, "invalid-request").await;
        assert_eq!(refused.pointers(), ["/reason"]);
    }
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(sent(&test, method).await, 0, "{method}");
    }
    test.stop().await;
}
