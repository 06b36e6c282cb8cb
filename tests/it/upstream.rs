//! The requests to EM and what becomes of its answers: plans, actions, tasks, sessions.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use emgate::clock::{Clock as _, ManualClock, SystemClock};
use emgate::domain::command::Command;
use emgate::domain::operation::TaskState;
use emgate::domain::plan::{Action, PlanCommand, PlanEdit, PlanKind, PlanRef};
use emgate::domain::session::{SessionResult, SessionState};
use emgate::sim::Options;
use emgate::upstream::{AcceptedTask, EmClient, PageRequest, SessionQuery, Sort, SortField, TaskView};
use futures_util::future::join_all;
use serde_json::json;

use crate::em_bench::{Bench, PLAN, Server, answer, config, plan_id, usual};
use crate::waiting::eventually;

use crate::support::commands::act;

fn page(number: u32, size: u32, sort: Option<Sort>) -> PageRequest {
    PageRequest {
        page: number,
        page_size: size,
        sort,
    }
}

fn all_sessions(page: PageRequest) -> SessionQuery {
    SessionQuery {
        states: Vec::new(),
        results: Vec::new(),
        plan_name: None,
        started_after: None,
        started_before: None,
        page,
    }
}

async fn finished(em: &EmClient, accepted: &AcceptedTask) -> TaskView {
    let view = async || em.task(accepted.logon, &accepted.task).await.expect("a task");
    eventually("the task's end", view, |view| view.state == TaskState::Finished).await
}

#[tokio::test]
async fn plans_come_in_sorted_pages() {
    let bench = Bench::with(
        Options {
            plans: 7,
            vms: 3,
            ..Options::on_any_port()
        },
        |_| {},
    )
    .await;
    for kind in [PlanKind::Cloud, PlanKind::OnPremises] {
        let descending = Some(Sort {
            by: SortField::Name,
            descending: true,
        });
        let first = bench
            .em
            .plans(kind, &page(1, 3, descending))
            .await
            .expect("a page");
        let last = bench
            .em
            .plans(kind, &page(3, 3, descending))
            .await
            .expect("a page");
        assert_eq!(
            (first.number, first.size, first.total, first.items.len()),
            (1, 3, 3, 3)
        );
        assert_eq!((last.number, last.items.len()), (3, 1));
        let all = bench.em.all_plans(kind).await.expect("plans");
        assert_eq!(all.len(), 7);
        assert!(all.is_sorted_by_key(|plan| plan.name.to_lowercase()));
        let named = bench
            .em
            .plans_named(kind, &all[2].name.to_uppercase())
            .await
            .expect("plans");
        assert_eq!(
            named.iter().map(|plan| &plan.id).collect::<Vec<_>>(),
            [&all[2].id]
        );

        let plan = bench.em.plan(kind, &all[2].id).await.expect("a plan");
        assert_eq!(plan.kind, kind);
        assert_eq!(plan.name, all[2].name);
        assert_eq!(plan.machines.len(), 3);
        assert!(
            plan.machines
                .iter()
                .all(|machine| machine.id.is_some() && !machine.name.is_empty())
        );
        assert!(
            plan.backup_server
                .as_ref()
                .is_some_and(|server| server.name.is_some()),
            "{plan:?}"
        );
        assert_eq!(plan.tenant.is_some(), kind == PlanKind::Cloud);
        assert_eq!(plan.pre_command.is_some(), kind == PlanKind::Cloud);
    }
    let unknown = "00000000-0000-4000-8000-000000000000".parse().expect("an id");
    assert!(
        bench
            .em
            .plan(PlanKind::Cloud, &unknown)
            .await
            .expect_err("unknown")
            .is_not_found()
    );
}

#[tokio::test]
async fn a_test_is_followed_from_the_task_to_the_end_of_its_session() {
    let bench = Bench::with(
        Options {
            speed: 200.0,
            ..Options::on_any_port()
        },
        |_| {},
    )
    .await;
    let plan = bench.plan().await;
    let accepted = act(&bench.em, &plan, Action::Test).await.expect("accepted");
    assert_eq!(accepted.state, TaskState::Running);
    let task = finished(&bench.em, &accepted).await;
    assert_eq!(task.success, Some(true));
    let id = task.session.expect("the task links the session");

    let session = async || bench.em.session(&id).await.expect("a session");
    let session = eventually("the session's end", session, |session| session.state.is_stopped()).await;
    assert_eq!(session.id, id);
    assert_eq!(session.plan_name, plan.name);
    assert_eq!(session.result, Some(SessionResult::Success));
    assert!(session.started_at < session.ended_at, "{session:?}");
    assert_eq!(session.machines.len(), 2);
    assert!(
        session
            .machines
            .iter()
            .all(|machine| machine.replica_point.is_some() && machine.state == SessionState::Stopped)
    );
    assert_eq!(session.backup_server, plan.backup_server);
    let row = bench
        .em
        .sessions_since(None)
        .await
        .expect("sessions")
        .sessions
        .pop()
        .expect("a row");
    assert_eq!(
        (&row.id, &row.backup_server),
        (&id, &None),
        "rows of the query lack the backup server"
    );
}

#[tokio::test]
async fn start_and_undo_work_for_both_kinds_of_plan() {
    let bench = Bench::with(
        Options {
            speed: 200.0,
            ..Options::on_any_port()
        },
        |_| {},
    )
    .await;
    for kind in [PlanKind::Cloud, PlanKind::OnPremises] {
        let plan = bench
            .em
            .all_plans(kind)
            .await
            .expect("plans")
            .remove(0)
            .reference();
        let yesterday = SystemClock.now() - jiff::SignedDuration::from_hours(24);
        for action in [
            Action::Start { before: None },
            Action::Undo,
            Action::Start {
                before: Some(yesterday),
            },
        ] {
            // The simulator refuses an action while the one before is at work.
            let attempt = async || act(&bench.em, &plan, action).await;
            let accepted = eventually("the action is accepted", attempt, |answer| match answer {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.status(), Some(400), "{error:?}");
                    false
                }
            })
            .await
            .expect("accepted");
            let task = finished(&bench.em, &accepted).await;
            assert_eq!(task.success, Some(true), "{kind:?} {action:?} {task:?}");
            let linked = action.kind().has_session(kind);
            assert_eq!(task.session.is_some(), linked, "{kind:?} {action:?} {task:?}");
        }
    }
}

#[tokio::test]
async fn the_bodies_of_start_are_the_specs_of_the_plans_kind() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = bodies.clone();
    let server = Server::start(move |request| {
        usual(request).unwrap_or_else(|| {
            seen.lock()
                .expect("not poisoned")
                .push(String::from_utf8(request.body.clone()).expect("UTF-8"));
            let task =
                "<Task xmlns=\"http://www.veeam.com/ent/v1.0\" Href=\"http://x.example/api/tasks/task-7\"/>";
            answer("202 Accepted", "", task)
        })
    })
    .await;
    let em = EmClient::new(&config(&server.url), SystemClock::shared()).expect("a room");
    let before = Some("2026-01-31T12:00:00Z".parse().expect("a time"));
    for kind in [PlanKind::Cloud, PlanKind::OnPremises] {
        for action in [
            Action::Start { before: None },
            Action::Start { before },
            Action::Undo,
        ] {
            let plan = PlanRef {
                id: plan_id(),
                kind,
                name: String::new(),
                tenant: None,
                backup_server: None,
            };
            let accepted = act(&em, &plan, action).await.expect("accepted");
            assert_eq!(
                accepted.task.0, "task-7",
                "the address names the task where nothing else does"
            );
        }
    }
    let spec = |root: &str, choice: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><{root} xmlns=\"http://www.veeam.com/ent/v1.0\">{choice}</{root}>"
        )
    };
    let (now, date) = (
        "<StartNow>true</StartNow>",
        "<StartDate>2026-01-31T12:00:00Z</StartDate>",
    );
    assert_eq!(
        *bodies.lock().expect("not poisoned"),
        [
            spec("CloudFailoverPlanManagementSpec", now),
            spec("CloudFailoverPlanManagementSpec", date),
            String::new(),
            spec("FailoverPlanManagementSpec", now),
            spec("FailoverPlanManagementSpec", date),
            String::new(),
        ]
    );
    assert_eq!(
        server.count(&format!(
            "POST /api/cloud/cloudFailoverPlans/{PLAN}?action=start "
        )),
        2
    );
    assert_eq!(
        server.count(&format!("POST /api/failoverPlans/{PLAN}?action=undo ")),
        1
    );
}

#[tokio::test]
async fn a_changed_plan_is_read_back_changed() {
    let bench = Bench::with(
        Options {
            speed: 1000.0,
            ..Options::on_any_port()
        },
        |config| {
            config.cache_ttl = Duration::from_secs(3600);
        },
    )
    .await;
    let cloud = bench.em.plan(PlanKind::Cloud, &plan_id()).await.expect("a plan");
    let edit = PlanEdit::Cloud {
        pre_command: PlanCommand {
            enabled: true,
            command: Some("C:\\a & b <c>.cmd \"ü\"".to_owned()),
        },
        post_command: PlanCommand {
            enabled: false,
            command: None,
        },
    };
    let accepted = bench
        .em
        .send(&Command::EditPlan {
            plan: cloud.reference(),
            edit: edit.clone(),
        })
        .await
        .expect("accepted");
    finished(&bench.em, &accepted.task.expect("a task")).await;
    let after = bench.em.plan(PlanKind::Cloud, &cloud.id).await.expect("a plan");
    let deletion = Command::DeletePlan {
        plan: cloud.reference(),
    };
    let PlanEdit::Cloud {
        pre_command,
        post_command,
    } = edit
    else {
        panic!("a cloud plan")
    };
    assert_eq!(
        (after.pre_command, after.post_command),
        (Some(pre_command), Some(post_command))
    );
    assert_eq!(
        (after.name, after.description, after.machines),
        (cloud.name, cloud.description, cloud.machines)
    );

    let own = bench
        .em
        .all_plans(PlanKind::OnPremises)
        .await
        .expect("plans")
        .remove(0);
    let edit = PlanEdit::OnPremises {
        description: "für den Notfall".to_owned(),
    };
    bench
        .em
        .send(&Command::EditPlan {
            plan: own.reference(),
            edit,
        })
        .await
        .expect("accepted");
    let after = bench
        .em
        .plan(PlanKind::OnPremises, &own.id)
        .await
        .expect("a plan");
    assert_eq!(after.description.as_deref(), Some("für den Notfall"));

    let accepted = bench.em.send(&deletion).await.expect("accepted");
    finished(&bench.em, &accepted.task.expect("a task")).await;
    let accepted = bench.em.send(&deletion).await;
    assert!(accepted.expect_err("it is gone").is_not_found());
    assert!(
        bench
            .em
            .plan(PlanKind::Cloud, &cloud.id)
            .await
            .expect_err("it is gone")
            .is_not_found()
    );
}

/// An EM with that many failover sessions, begun with that pause between them.
async fn with_sessions(count: usize, pause: Duration) -> Bench {
    let clock = ManualClock::at("2026-05-06T08:00:00Z".parse().expect("a time"));
    let options = Options {
        plans: count,
        vms: 1,
        ..Options::on_any_port()
    };
    let bench = Bench::at(options, clock.clone(), |_| {}).await;
    for plan in bench.em.all_plans(PlanKind::Cloud).await.expect("plans") {
        let wish = json!({"planId": plan.id.as_str(), "action": "test", "seconds": 60});
        bench.control("POST", "failovers", wish).await;
        clock.advance(pause);
    }
    clock.advance(Duration::from_secs(5));
    bench
}

#[tokio::test]
async fn a_long_history_is_read_to_its_end_each_session_once() {
    let bench = with_sessions(230, Duration::from_millis(1700)).await;
    let before = bench.stats().await.requests("GET /api/query");
    let all = bench.em.sessions_since(None).await.expect("sessions").sessions;
    assert_eq!(bench.stats().await.requests("GET /api/query") - before, 3);
    assert_eq!(all.len(), 230);
    assert!(all.is_sorted_by_key(|session| session.started_at));
    let ids: std::collections::HashSet<_> = all.iter().map(|session| session.id.clone()).collect();
    assert_eq!(ids.len(), 230);
    let recent = bench
        .em
        .sessions_since(all[90].started_at)
        .await
        .expect("sessions")
        .sessions;
    assert_eq!(recent, all[90..]);
}

#[tokio::test]
async fn sessions_of_one_second_are_all_found_although_they_fill_pages() {
    let bench = with_sessions(230, Duration::ZERO).await;
    assert_eq!(
        bench
            .em
            .sessions_since(None)
            .await
            .expect("sessions")
            .sessions
            .len(),
        230
    );
}

#[tokio::test]
async fn a_burst_of_sessions_is_read_once() {
    // A page holds less than two seconds of these.
    for pause in [Duration::from_millis(4), Duration::from_millis(15)] {
        let bench = with_sessions(450, pause).await;
        let before = bench.stats().await.requests("GET /api/query");
        let all = bench.em.sessions_since(None).await.expect("sessions").sessions;
        assert_eq!(all.len(), 450);
        assert_eq!(
            bench.stats().await.requests("GET /api/query") - before,
            5,
            "{pause:?}"
        );
    }
}

#[tokio::test]
async fn rows_that_age_out_between_two_pages_take_no_other_with_them() {
    // EM answers page 2 as if the ten oldest rows had gone since page 1.
    let rows: Vec<String> = (0..150)
        .map(|n| {
            let (minute, second) = (n / 60, n % 60);
            format!(
                "<CloudFailoverSession UID=\"urn:veeam:CloudFailoverSession:00000000-0000-4000-8000-{n:012}\" Name=\"p\">\
                 <CreationTimeUTC>2026-05-06T08:{minute:02}:{second:02}Z</CreationTimeUTC><State>Stopped</State>\
                 <Result>Success</Result></CloudFailoverSession>"
            )
        })
        .collect();
    let first = Mutex::new(true);
    let server = Server::start(move |request| {
        usual(request).unwrap_or_else(|| {
            let gone = if std::mem::take(&mut *first.lock().expect("not poisoned")) { 0 } else { 10 };
            let line = request.line.replace("%3A", ":").replace("%3D", "=").replace("%3E", ">");
            let from = line.split("CreationTime>=%22").nth(1).and_then(|rest| rest.split("%22").next());
            let left: Vec<&String> = rows
                .iter()
                .skip(gone)
                .filter(|row| {
                    let time = row.split("<CreationTimeUTC>").nth(1).and_then(|rest| rest.split('<').next());
                    from.is_none_or(|from| time >= Some(from))
                })
                .collect();
            let number: usize = line.split("&page=").nth(1).and_then(|rest| rest.split(['&', ' ']).next()).map_or(1, |n| n.parse().expect("a number"));
            let shown: String = left.iter().skip((number - 1) * 100).take(100).map(|row| row.as_str()).collect();
            let pages = left.len().div_ceil(100);
            answer(
                "200 OK",
                "",
                &format!(
                    "<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\"><Entities><CloudFailoverSessions>{shown}\
                     </CloudFailoverSessions></Entities><PagingInfo PagesCount=\"{pages}\" PageSize=\"100\" PageNum=\"{number}\"/>\
                     </QueryResult>"
                ),
            )
        })
    })
    .await;
    let em = EmClient::new(&config(&server.url), SystemClock::shared()).expect("a room");
    let all = em.sessions_since(None).await.expect("sessions").sessions;
    assert_eq!(
        all.len(),
        150,
        "rows 100 to 109 have moved to a page that was read already"
    );
}

#[tokio::test]
async fn a_list_without_an_end_is_refused() {
    let server = Server::start(|request| {
        usual(request).unwrap_or_else(|| {
            answer(
                "200 OK",
                "",
                "<QueryResult xmlns=\"http://www.veeam.com/ent/v1.0\"><Entities><CloudFailoverSessions><CloudFailoverSession \
                 UID=\"urn:veeam:CloudFailoverSession:a986d473-0248-4884-9832-17ec982ee393\"><State>Working</State>\
                 </CloudFailoverSession></CloudFailoverSessions></Entities><PagingInfo PagesCount=\"2\" PageSize=\"1\" PageNum=\"1\">\
                 <Links><Link Rel=\"Next\" Href=\"https://em.example/api/query?page=2\"/></Links></PagingInfo></QueryResult>",
            )
        })
    })
    .await;
    let em = EmClient::new(&config(&server.url), SystemClock::shared()).expect("a room");
    em.sessions_since(None).await.expect_err("it goes in circles");
    assert!(server.count("GET /api/query") < 10);
}

#[tokio::test]
async fn sessions_are_filtered_sorted_and_paged_by_em() {
    let bench = Bench::with(
        Options {
            history: 120,
            ..Options::on_any_port()
        },
        |_| {},
    )
    .await;
    let all = bench.em.sessions_since(None).await.expect("sessions").sessions;
    let descending = Some(Sort {
        by: SortField::StartedAt,
        descending: true,
    });
    let second = bench
        .em
        .sessions(&all_sessions(page(2, 50, descending)))
        .await
        .expect("a page");
    let mut expected: Vec<_> = all
        .iter()
        .rev()
        .skip(50)
        .take(50)
        .map(|session| session.id.clone())
        .collect();
    assert_eq!(
        second
            .items
            .iter()
            .map(|session| session.id.clone())
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!((second.number, second.size, second.total), (2, 50, 3));

    let mut query = all_sessions(page(1, 100, None));
    query.results = vec!["failed".to_owned(), "warning".to_owned()];
    let bad = bench.em.sessions(&query).await.expect("a page");
    let wanted = |session: &&emgate::domain::session::SessionFacts| {
        matches!(
            session.result,
            Some(SessionResult::Failed | SessionResult::Warning)
        )
    };
    assert_eq!(
        bad.items.len(),
        all.iter().map(AsRef::as_ref).filter(wanted).count()
    );

    let mut query = all_sessions(page(
        1,
        100,
        Some(Sort {
            by: SortField::StartedAt,
            descending: false,
        }),
    ));
    query.started_after = all[10].started_at;
    query.started_before = all[20].started_at;
    let some = bench.em.sessions(&query).await.expect("a page");
    expected = all[10..20].iter().map(|session| session.id.clone()).collect();
    assert_eq!(
        some.items
            .into_iter()
            .map(|session| session.id)
            .collect::<Vec<_>>(),
        expected
    );

    let mut query = all_sessions(page(1, 100, None));
    query.plan_name = Some(all[0].plan_name.to_uppercase());
    query.states = vec!["stopped".to_owned()];
    let named = bench.em.sessions(&query).await.expect("a page");
    assert_eq!(
        named.items.len(),
        all.iter()
            .filter(|session| session.plan_name == all[0].plan_name)
            .count()
    );
    query.plan_name = Some("no \"such\"; plan, (at) all".to_owned());
    assert_eq!(bench.em.sessions(&query).await.expect("a page").items.len(), 0);
}

#[tokio::test]
async fn many_readers_of_the_same_cost_em_one_request() {
    let bench = Bench::with(
        Options {
            latency: 50,
            ..Options::on_any_port()
        },
        |config| config.coalesce = true,
    )
    .await;
    let id = plan_id();
    let read = || bench.em.plan(PlanKind::Cloud, &id);
    for outcome in join_all((0..100).map(|_| read())).await {
        outcome.expect("a plan");
    }
    assert_eq!(bench.stats().await.requests("GET /api/cloud"), 1);
    read().await.expect("a plan");
    assert_eq!(
        bench.stats().await.requests("GET /api/cloud"),
        2,
        "nothing is remembered without cache_ttl"
    );
}

#[tokio::test]
async fn a_shared_read_outlives_the_caller_who_began_it() {
    let bench = Bench::with(
        Options {
            latency: 100,
            ..Options::on_any_port()
        },
        |config| config.coalesce = true,
    )
    .await;
    let read = |em: EmClient| async move { em.plan(PlanKind::Cloud, &plan_id()).await };
    read(bench.em.clone()).await.expect("a plan");
    let first = tokio::spawn(read(bench.em.clone()));
    let deadline = Instant::now() + Duration::from_secs(10);
    while bench.stats().await.requests("GET /api/cloud") < 2 {
        assert!(Instant::now() < deadline, "the read does not begin");
    }
    let second = tokio::spawn(read(bench.em.clone()));
    tokio::task::yield_now().await;
    first.abort();
    second.await.expect("not aborted").expect("a plan");
}

/// A client that remembers answers for a second of that clock.
async fn remembering_for_a_second() -> (Bench, Arc<ManualClock>) {
    let clock = ManualClock::at("2026-05-06T08:00:00Z".parse().expect("a time"));
    let bench = Bench::at(Options::on_any_port(), clock.clone(), |config| {
        config.cache_ttl = Duration::from_secs(1)
    });
    (bench.await, clock)
}

/// Reads the plan; how many requests for plans there were then.
async fn requests_after_a_read(bench: &Bench) -> u64 {
    bench.em.plan(PlanKind::Cloud, &plan_id()).await.expect("a plan");
    bench.stats().await.requests("GET /api/cloud")
}

#[tokio::test]
async fn a_cached_answer_lasts_until_its_time_or_the_next_write() {
    let (bench, clock) = remembering_for_a_second().await;
    let requests = async || requests_after_a_read(&bench).await;
    assert_eq!(requests().await, 1);
    assert_eq!(requests().await, 1);
    clock.advance(Duration::from_millis(1100));
    assert_eq!(requests().await, 2);
    let plan = bench.plan().await;
    act(&bench.em, &plan, Action::Test).await.expect("accepted");
    assert_eq!(requests().await, 3);
}

#[rstest::rstest]
#[case::back("2026-05-06T07:00:00Z")]
#[case::back_a_little("2026-05-06T07:59:58Z")]
#[case::forth("2026-05-06T08:05:00Z")]
#[tokio::test]
async fn a_clock_that_jumps_makes_no_answer_last(#[case] to: &str) {
    let (bench, clock) = remembering_for_a_second().await;
    let requests = async || requests_after_a_read(&bench).await;
    assert_eq!(requests().await, 1);
    clock.set(to.parse().expect("a time"));
    assert_eq!(requests().await, 2);
    assert_eq!(requests().await, 2, "the new answer is remembered as every other");
}

#[tokio::test]
async fn additions_and_spellings_of_em_change_nothing() {
    let options = Options {
        unknown_elements: true,
        ..Options::on_any_port()
    };
    let odd = Bench::with(options, |_| {}).await;
    let plain = Bench::with(
        Options {
            plain: true,
            ..Options::on_any_port()
        },
        |_| {},
    )
    .await;
    let (a, b) = (odd.plan().await, plain.plan().await);
    assert_eq!((a.id, a.name), (b.id, b.name));
    let accepted = act(&odd.em, &odd.plan().await, Action::Test)
        .await
        .expect("accepted");
    assert_eq!(accepted.task.0, "task-1");
}
