//! Whose rows a caller who is confined to tenants sees: those of their tenants, and nothing else by any read.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use secrecy::SecretString;

use super::super::Tx;
use super::super::cursor::Cursor;
use super::super::events::StoredEvent;
use super::super::migrations::migrate_to;
use super::super::operations::OperationFilter;
use super::super::place::Place;
use super::super::session_list::{SessionOrder, SessionSelection};
use super::super::testing::{new_command, new_operation, temporary, temporary_config};
use super::super::webhooks::deliveries::DeliveryFilter;
use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::event::{EventType, NewEvent, Routing};
use crate::domain::id::{DeliveryId, EndpointId, EventId, OperationId};
use crate::domain::operation::{Operation, OperationKind};
use crate::domain::plan::PlanKind;
use crate::domain::session::{SessionPhase, SessionResult, SessionState};
use crate::domain::webhook::endpoint::{Settings, SigningSecret};
use crate::domain::webhook::target::TargetUrl;
use crate::domain::webhook::{Filter, Owner};

const ABC: &str = "3f56fa52-c902-4655-9774-2022fde214d2";

fn only(tenants: &[&str]) -> Tenancy {
    Tenancy::Only(tenants.iter().map(ToString::to_string).collect())
}

fn id(number: u32) -> EmId {
    format!("00000000-0000-4000-8000-{number:012}")
        .parse()
        .expect("an id")
}

fn abc() -> Reference {
    Reference {
        id: ABC.to_uppercase().parse().expect("an id"),
        name: Some("ABC Company".into()),
    }
}

fn other() -> Reference {
    Reference {
        id: id(9),
        name: Some("abc company".into()),
    }
}

fn plan(number: u32, kind: PlanKind, tenant: Option<Reference>) -> PlanRef {
    PlanRef {
        id: id(number),
        kind,
        name: "Failover Plan".into(),
        tenant,
        backup_server: None,
    }
}

/// The plans of two tenants, one of nobody's, and one on premises that was given a tenant all the same.
fn plans() -> [PlanRef; 4] {
    [
        plan(1, PlanKind::Cloud, Some(abc())),
        plan(2, PlanKind::Cloud, Some(other())),
        plan(3, PlanKind::Cloud, None),
        plan(4, PlanKind::OnPremises, Some(abc())),
    ]
}

fn session(plan: &PlanRef, number: u32, started_at: Timestamp) -> SessionRecord {
    SessionRecord {
        facts: SessionFacts {
            id: id(number),
            uid: None,
            plan_name: format!("{} {number}", plan.name),
            job: None,
            job_type: None,
            backup_server: None,
            state: SessionState::Stopped,
            result: Some(SessionResult::Success),
            progress: None,
            started_at: Some(started_at),
            ended_at: Some(started_at),
            failure_message: None,
            machines: vec![],
        },
        plan: Some(plan.clone()),
        first_seen_at: started_at,
        first_observation: 1,
        stopped_seen_at: None,
        missed: 0,
        sequence: 1,
        phase: SessionPhase::Ended,
    }
}

fn event(store: &Store, routing: Routing) -> NewEvent {
    NewEvent {
        id: EventId::new(store.clock().id()),
        kind: EventType::OperationFinished,
        at: store.clock().now(),
        body: "{}".into(),
        routing,
    }
}

fn owner(tenants: Option<&[&str]>) -> Owner {
    Owner {
        issuer: None,
        subject: Some("ann".into()),
        tenants: tenants.and_then(|tenants| only(tenants).confinement()),
    }
}

async fn endpoint(tx: &mut Tx, owner: &Owner, filter: Filter) -> EndpointId {
    let id = EndpointId::new(tx.clock().id());
    let target = TargetUrl::parse("https://receiver.example/", false).expect("a URL");
    let settings = Settings {
        filter,
        ..Settings::default()
    };
    tx.insert_endpoint(id, owner, &target, &SigningSecret::from_key(&[1; 32]), &settings)
        .await
        .expect("inserted");
    id
}

/// A store with an operation, a session, an event, an endpoint, its delivery and a callback's for each of the plans.
struct Filled {
    store: Store,
    operations: Vec<OperationId>,
    events: Vec<EventId>,
    endpoints: Vec<EndpointId>,
}

async fn filled() -> Filled {
    let store = temporary().await;
    let owners = [
        Some(&["ABC Company"][..]),
        Some(&["abc company"]),
        None,
        Some(&["ABC Company", "x"]),
    ];
    let (mut operations, mut events, mut endpoints) = (vec![], vec![], vec![]);
    let mut tx = store.begin().await.expect("begun");
    for tenants in owners {
        endpoints.push(endpoint(&mut tx, &owner(tenants), Filter::default()).await);
    }
    for (number, plan) in (10..).zip(plans()) {
        let operation = Operation {
            kind: OperationKind::Failover,
            plan: Some(plan.clone()),
            target: None,
            session: None,
            ..new_operation(&store)
        };
        tx.insert_operation(&operation, &new_command())
            .await
            .expect("written");
        let url = "https://receiver.example/callback".parse().expect("a URL");
        tx.add_callback(operation.id, &url, &SecretString::from("a secret"))
            .await
            .expect("written");
        tx.save_session(&session(&plan, number, store.clock().now()))
            .await
            .expect("written");
        let routing = Routing {
            tenant: plan.owner().cloned(),
            operation: Some(operation.id),
            ends_operation: true,
            ..Routing::default()
        };
        let ended = event(&store, routing);
        tx.append_event(&ended).await.expect("written");
        operations.push(operation.id);
        events.push(ended.id);
    }
    tx.commit().await.expect("committed");
    Filled {
        store,
        operations,
        events,
        endpoints,
    }
}

/// What a caller sees of a filled store, each as its place among all.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    things: Vec<usize>,
    endpoints: Vec<usize>,
}

async fn seen(all: &Filled, tenancy: &Tenancy) -> Seen {
    let store = &all.store;
    let everything: Vec<usize> = (0..4).collect();
    let mut things = everything.clone();
    for (at, id) in all.operations.iter().enumerate() {
        let read = store.operation(*id, tenancy).await.expect("read");
        let locked = store.begin().await.expect("begun").operation(*id, tenancy).await;
        assert_eq!(locked.expect("read"), read);
        if read.is_none() {
            things.retain(|one| *one != at);
        }
    }
    let places = |ids: Vec<String>, of: &[String]| -> HashSet<usize> {
        let place = |id: &String| of.iter().position(|one| one == id).expect("a known one");
        ids.iter().map(place).collect()
    };
    let expected: HashSet<usize> = things.iter().copied().collect();

    let listed = store
        .operations(tenancy, &OperationFilter::default(), None, 10)
        .await;
    let listed = listed
        .expect("read")
        .iter()
        .map(|one| one.id.to_string())
        .collect();
    let ids: Vec<String> = all.operations.iter().map(ToString::to_string).collect();
    assert_eq!(places(listed, &ids), expected, "the list of operations");

    let sessions: Vec<EmId> = (10..14).map(id).collect();
    let known = store.sessions_known(&sessions, tenancy).await.expect("read");
    let known = known.iter().map(|record| record.facts.id.key()).collect();
    let keys: Vec<String> = sessions.iter().map(EmId::key).collect();
    assert_eq!(places(known, &keys), expected, "the sessions");
    let (listed, count) = store.list_sessions(tenancy, &selection()).await.expect("read");
    assert_eq!(count, expected.len() as u64, "the count of sessions");
    let listed = listed.iter().map(|record| record.facts.id.key()).collect();
    assert_eq!(places(listed, &keys), expected, "the list of sessions");

    let ids: Vec<String> = all.events.iter().map(ToString::to_string).collect();
    let of = |events: Vec<StoredEvent>| events.iter().map(|one| one.id.to_string()).collect();
    let after = store.events_after(tenancy, 0, 10).await.expect("read");
    assert_eq!(places(of(after), &ids), expected, "the event log");
    let before = store.events_before(tenancy, i64::MAX, 10).await.expect("read");
    assert_eq!(places(of(before), &ids), expected, "the event log, backwards");
    for (at, id) in all.events.iter().enumerate() {
        let place = store.event_place(*id, tenancy).await.expect("read");
        assert_eq!(place.is_some(), expected.contains(&at), "the place of an event");
    }

    let mut endpoints = everything;
    for (at, id) in all.endpoints.iter().enumerate() {
        let read = store.endpoint(*id, tenancy).await.expect("read");
        let mut tx = store.begin().await.expect("begun");
        assert_eq!(tx.endpoint(*id, tenancy).await.expect("read"), read);
        assert_eq!(
            tx.delete_endpoint(*id, tenancy).await.expect("tried"),
            read.is_some()
        );
        if read.is_none() {
            endpoints.retain(|one| *one != at);
        }
    }
    let listed = store.endpoints(tenancy, None, 10).await.expect("read");
    assert_eq!(listed.len(), endpoints.len(), "the list of endpoints");
    let mut tx = store.begin().await.expect("begun");
    let counted = tx.count_endpoints(tenancy).await.expect("counted");
    let of_nobody = all.endpoints.len() - 3;
    let expected_count = if tenancy.is_confined() {
        endpoints.len()
    } else {
        of_nobody
    };
    assert_eq!(counted, expected_count, "those that count against the limit");
    drop(tx);

    let filter = DeliveryFilter::default();
    let everything = store
        .deliveries(&Tenancy::All, &filter, None, 100)
        .await
        .expect("read");
    let visible = store.deliveries(tenancy, &filter, None, 100).await.expect("read");
    let visible: HashSet<DeliveryId> = visible.iter().map(|one| one.id).collect();
    for delivery in everything {
        let to = |one: &EndpointId| delivery.endpoint == Some(*one);
        let due = match delivery.operation {
            Some(operation) => all
                .operations
                .iter()
                .position(|one| *one == operation)
                .is_some_and(|at| expected.contains(&at)),
            None => all
                .endpoints
                .iter()
                .position(to)
                .is_some_and(|at| endpoints.contains(&at)),
        };
        assert_eq!(visible.contains(&delivery.id), due, "{delivery:?}");
        let read = store.delivery(delivery.id, tenancy).await.expect("read");
        assert_eq!(read.is_some(), due, "{delivery:?}");
    }
    Seen { things, endpoints }
}

fn selection() -> SessionSelection {
    SessionSelection {
        states: vec![],
        results: vec![],
        plan_name: None,
        started_after: None,
        started_before: None,
        order: SessionOrder::StartedAt,
        descending: true,
        offset: 0,
        limit: 50,
    }
}

#[rstest]
#[case::everybody(Tenancy::All, &[0, 1, 2, 3], &[0, 1, 2, 3])]
#[case::by_name(only(&["ABC Company"]), &[0], &[0])]
#[case::by_id(only(&[ABC]), &[0], &[])]
#[case::by_id_in_upper_case(only(&["3F56FA52-C902-4655-9774-2022FDE214D2"]), &[0], &[])]
#[case::the_other(only(&["abc company"]), &[1], &[1])]
#[case::both(only(&["abc company", ABC]), &[0, 1], &[])]
#[case::a_larger_set(only(&["ABC Company", "x"]), &[0], &[3])]
#[case::a_stranger(only(&["ABC", "%", "' or 1=1 --"]), &[], &[])]
#[case::nobody(only(&[]), &[], &[])]
#[tokio::test]
async fn a_caller_sees_what_belongs_to_their_tenants_by_every_read(
    #[case] tenancy: Tenancy,
    #[case] things: &[usize],
    #[case] endpoints: &[usize],
) {
    let all = filled().await;
    let expected = Seen {
        things: things.to_vec(),
        endpoints: endpoints.to_vec(),
    };
    assert_eq!(seen(&all, &tenancy).await, expected);
}

#[tokio::test]
async fn an_event_goes_to_endpoints_whose_owners_see_it() {
    let store = temporary().await;
    let mut tx = store.begin().await.expect("begun");
    let named = |tenants: &[&str]| Filter {
        tenants: tenants.iter().map(ToString::to_string).collect(),
        ..Filter::default()
    };
    let everybodys = endpoint(&mut tx, &owner(None), Filter::default()).await;
    let by_name = endpoint(&mut tx, &owner(Some(&["ABC Company"])), named(&["ABC Company"])).await;
    let by_id = endpoint(&mut tx, &owner(Some(&[ABC])), named(&[ABC])).await;
    let of_two = endpoint(
        &mut tx,
        &owner(Some(&["ABC Company", "x"])),
        named(&["ABC Company", "x"]),
    )
    .await;
    let narrowed = endpoint(&mut tx, &owner(Some(&["ABC Company", "x"])), named(&["x"])).await;
    let of_other = endpoint(&mut tx, &owner(Some(&["abc company"])), Filter::default()).await;
    tx.commit().await.expect("committed");
    let routings = [
        (
            Routing {
                tenant: Some(abc()),
                ..Routing::default()
            },
            vec![everybodys, by_name, by_id, of_two],
        ),
        (
            Routing {
                tenant: Some(other()),
                ..Routing::default()
            },
            vec![everybodys, of_other],
        ),
        // Enterprise Manager is away.
        (Routing::default(), vec![everybodys]),
        // An endpoint fails that belongs to the two tenants: the other one of theirs with a filter is not asked for it.
        (
            Routing {
                endpoint_owner: owner(Some(&["x", "ABC Company"])).tenants,
                ..Routing::default()
            },
            vec![everybodys, of_two],
        ),
    ];
    for (routing, expected) in routings {
        let event = event(&store, routing.clone());
        let mut tx = store.begin().await.expect("begun");
        tx.append_event(&event).await.expect("written");
        tx.commit().await.expect("committed");
        let mut got = HashSet::new();
        for endpoint in [everybodys, by_name, by_id, of_two, narrowed, of_other] {
            let delivery = store.delivery_of(event.id, endpoint, &Tenancy::All).await;
            if delivery.expect("read").is_some() {
                got.insert(endpoint);
            }
        }
        assert_eq!(got, expected.into_iter().collect(), "{routing:?}");
    }
}

#[tokio::test]
async fn a_confined_list_of_sessions_is_filtered_sorted_and_numbered() {
    let store = temporary().await;
    let now = store.clock().now();
    let day = |days: i64| {
        now.checked_sub(SignedDuration::from_hours(24 * days))
            .expect("a time")
    };
    let [own, foreign, ..] = plans();
    let mut tx = store.begin().await.expect("begun");
    for number in 20..25 {
        let mut record = session(&own, number, day(i64::from(number) - 19));
        if number == 22 {
            record.facts.state = SessionState::Working;
            record.facts.result = None;
            record.facts.ended_at = None;
        }
        tx.save_session(&record).await.expect("written");
        let record = session(&foreign, number + 10, day(i64::from(number) - 19));
        tx.save_session(&record).await.expect("written");
    }
    for (number, at, phase) in [
        (25, day(31), SessionPhase::Ended),
        (26, day(1), SessionPhase::Lost),
    ] {
        let record = SessionRecord {
            phase,
            ..session(&own, number, at)
        };
        tx.save_session(&record).await.expect("written");
    }
    tx.commit().await.expect("committed");
    let list = async |wanted: SessionSelection| {
        let (records, count) = store
            .list_sessions(&only(&["ABC Company"]), &wanted)
            .await
            .expect("read");
        let number = |record: &SessionRecord| record.facts.id.key()[34..].parse::<u32>().expect("a number");
        (records.iter().map(number).collect::<Vec<_>>(), count)
    };
    assert_eq!(list(selection()).await, (vec![20, 21, 22, 23, 24], 5));
    let page = SessionSelection {
        descending: false,
        offset: 2,
        limit: 2,
        ..selection()
    };
    assert_eq!(list(page).await, (vec![22, 21], 5));
    let working = SessionSelection {
        states: vec!["working".into(), "starting".into()],
        ..selection()
    };
    assert_eq!(list(working).await, (vec![22], 1));
    let named = SessionSelection {
        plan_name: Some("FAILOVER plan 23".into()),
        results: vec!["success".into()],
        ..selection()
    };
    assert_eq!(list(named).await, (vec![23], 1));
    let between = SessionSelection {
        started_after: Some(day(3)),
        started_before: Some(day(1)),
        order: SessionOrder::Name,
        ..selection()
    };
    assert_eq!(list(between).await, (vec![22, 21], 2));
    let ended = SessionSelection {
        order: SessionOrder::EndedAt,
        limit: 2,
        ..selection()
    };
    assert_eq!(list(ended).await, (vec![20, 21], 5));
}

#[tokio::test]
async fn rows_of_version_10_are_given_their_tenants() {
    sqlx::any::install_default_drivers();
    let config = temporary_config().await;
    let place = Place::find(&config.url).expect("a place");
    let (pools, workers) = place.connect().await.expect("connected");
    migrate_to(&pools.write, place.engine(), 10)
        .await
        .expect("migrated");
    let now = Timestamp::from_second(SystemClock.now().as_second()).expect("a time");
    let own = session(&plans()[0], 10, now);
    let facts = serde_json::to_string(&own.facts).expect("JSON");
    let document = serde_json::to_string(&plans()[0]).expect("JSON");
    let tenant = serde_json::to_string(&abc()).expect("JSON");
    // More than one step of each, and a document that cannot be read among them.
    for number in 0..1100 {
        let operation = format!("0199a5c7-12ab-7cc0-8a11-{number:012}");
        let plan = if number == 700 { "{damaged" } else { &document };
        sqlx::query(
            "insert into operations (id, kind, action, plan, state, requested_at, seen_observation, answer_due, \
             evidence_deadline, finished_at) values ($1, 'failover', 'test', $2, 'finished', 1, 1, 1, 1, 1)",
        )
        .bind(operation)
        .bind(plan)
        .execute(&pools.write)
        .await
        .expect("written");
    }
    sqlx::query(
        "insert into failover_sessions (key, facts, plan, started_at, first_seen_at, first_observation, phase) \
         values ($1, $2, $3, $4, $4, 1, 'ended')",
    )
    .bind(own.facts.id.key())
    .bind(facts)
    .bind(document.clone())
    .bind(now.as_microsecond())
    .execute(&pools.write)
    .await
    .expect("written");
    let event: EventId = "evt_019c55e5-9d00-7a1c-9f60-2f3f1d0c000e".parse().expect("an id");
    sqlx::query("insert into events (id, type, at, body, tenant) values ($1, 'failover.operation.finished', 1, '{}', $2)")
        .bind(event.to_string())
        .bind(tenant)
        .execute(&pools.write)
        .await
        .expect("written");
    for pool in [pools.write, pools.read, workers.write, workers.read] {
        pool.close().await;
    }

    let store = Store::open(&config, SystemClock::shared()).await.expect("opened");
    let confined = only(&["ABC Company"]);
    let mut found = 0;
    let mut from = None;
    loop {
        let page = store
            .operations(&confined, &OperationFilter::default(), from, 500)
            .await
            .expect("read");
        found += page.len();
        match page.last() {
            Some(last) => from = Some(Cursor::After(last.id)),
            None => break,
        }
    }
    assert_eq!(found, 1099);
    let (sessions, count) = store.list_sessions(&confined, &selection()).await.expect("read");
    assert_eq!(
        (sessions.as_slice(), count),
        (&[SessionRecord { sequence: 0, ..own }][..], 1)
    );
    let events = store.events_after(&confined, 0, 10).await.expect("read");
    assert_eq!(events.iter().map(|one| one.id).collect::<Vec<_>>(), [event]);
    assert!(!store.complete_some_tenants().await.expect("asked"));
}
