//! Plans of many machines: what their events hold, and how much that is.

use std::time::Duration;

use super::Observatory;

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
