//! Plans of many machines: what their events hold, and how much that is.

use std::collections::HashMap;
use std::time::Duration;

use emgate::api_types::webhooks::WebhookEndpointCreate;
use emgate::app::webhooks::{DeliveryFilter, Webhooks};
use emgate::domain::access::Tenancy;
use emgate::domain::event::EventType;
use emgate::domain::id::{EndpointId, EventId};
use emgate::webhooks::EgressPolicy;
use rstest::rstest;
use serde_json::{Value, json};

use super::Observatory;
use crate::support::context::operator;

const MACHINES: usize = 400;

/// The size of an event as JSON, in bytes.
fn size(event: &serde_json::Value) -> usize {
    event.to_string().len()
}

#[tokio::test]
async fn the_event_of_a_machine_holds_that_machine_and_the_counts() {
    let mut world = Observatory::with(|sim| sim.vms = MACHINES).await;
    assert!(world.look().await);
    world.begin(0, 60).await;
    // First seen when all is over.
    world.clock.advance(Duration::from_mins(2));
    assert!(world.look().await);
    let events = world.events().await;
    assert_eq!(
        events.len(),
        MACHINES + 2,
        "started, one for each machine, finished"
    );
    let whole = size(&events[0]);
    let mut names = Vec::new();
    for event in &events[1..=MACHINES] {
        let data = &event["data"];
        let machines = data["session"]["virtualMachines"].as_array().expect("machines");
        let [machine] = machines.as_slice() else {
            panic!("{} machines", machines.len());
        };
        assert_eq!(machine["name"], data["virtualMachine"]);
        assert_eq!(machine["state"], "stopped");
        let counts = serde_json::json!({"total": MACHINES, "ended": MACHINES, "failed": 0});
        assert_eq!(data["machines"], counts);
        names.push(machine["name"].clone());
        assert!(size(event) < whole / 50, "{} of {whole}", size(event));
    }
    names.sort_by_key(ToString::to_string);
    names.dedup();
    assert_eq!(names.len(), MACHINES);
    for event in [&events[0], &events[MACHINES + 1]] {
        let machines = event["data"]["session"]["virtualMachines"].as_array();
        assert_eq!(machines.map(Vec::len), Some(MACHINES));
        assert!(
            event["data"].get("machines").is_none(),
            "the session counts for itself"
        );
    }
    let bytes: usize = events.iter().map(size).sum();
    println!(
        "{MACHINES} machines first seen finished: {} events, {bytes} bytes",
        events.len()
    );
}

/// An endpoint that gets the ends of machines with that result.
async fn endpoint_for(webhooks: &Webhooks, result: &str) -> EndpointId {
    let wanted = json!({"url": "https://hooks.example/a", "eventTypes": ["failover.vm.finished"],
        "filter": {"results": [result]}});
    let wanted: WebhookEndpointCreate = serde_json::from_value(wanted).expect("settings");
    let made = webhooks.create(&operator(), wanted).await.expect("an endpoint");
    made.endpoint.id
}

#[rstest]
#[case::of_a_session_that_goes_on(Duration::ZERO, &Value::Null)]
#[case::of_a_session_first_seen_finished(Duration::from_mins(2), &json!("failed"))]
#[tokio::test]
async fn a_filter_by_results_judges_the_machine_and_not_its_session(
    #[case] pause: Duration,
    #[case] session_result: &Value,
) {
    let mut world = Observatory::with(|sim| sim.vms = 3).await;
    assert!(world.look().await);
    let guard = EgressPolicy::new(&emgate::webhooks::Config::default(), vec![]);
    let webhooks = Webhooks::new(world.store.clone(), guard, world.clock.clone());
    let failed = endpoint_for(&webhooks, "failed").await;
    let succeeded = endpoint_for(&webhooks, "success").await;
    let failover = json!({"planId": world.plans[0], "action": "test", "seconds": 60, "result": "failed",
        "failureMessage": "the host is full"});
    world.control("POST", "failovers", failover).await;
    for _ in 0..60 {
        world.clock.advance(pause);
        assert!(world.look().await);
    }
    let log = world
        .store
        .events_after(&Tenancy::All, 0, 100)
        .await
        .expect("the log");
    let machines: HashMap<EventId, Value> = log
        .iter()
        .filter(|event| event.kind == EventType::MachineFinished)
        .map(|event| (event.id, serde_json::from_str(&event.body).expect("JSON")))
        .collect();
    let of_session: Vec<&Value> = machines
        .values()
        .map(|event| &event["data"]["session"]["result"])
        .collect();
    assert_eq!(of_session, [session_result; 3]);
    for (endpoint, result, count) in [(failed, "failed", 1), (succeeded, "success", 2)] {
        let filter = DeliveryFilter {
            endpoint: Some(endpoint),
            ..DeliveryFilter::default()
        };
        let deliveries = webhooks.deliveries(&operator(), &filter, None, 100).await;
        let deliveries = deliveries.expect("a page").items;
        let results: Vec<&Value> = deliveries
            .iter()
            .map(|delivery| &machines[&delivery.event]["data"]["session"]["virtualMachines"][0]["result"])
            .collect();
        assert_eq!(results, vec![result; count]);
    }
}
