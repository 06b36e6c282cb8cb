//! Which sessions keep a plan busy, and that those of other plans are not read for it.

use rstest::rstest;

use super::testing::temporary;
use super::upstreams_tests::{plan, running};
use crate::domain::plan::PlanRef;

fn another() -> PlanRef {
    PlanRef {
        id: "700bab44-7537-4754-979e-f1eafbba157a".parse().expect("an id"),
        name: "another plan".into(),
        ..plan()
    }
}

#[rstest]
#[case::of_the_plan(Some(plan()), &plan().name, true)]
#[case::of_another(Some(another()), &plan().name, false)]
#[case::of_none_by_its_name(None, &plan().name, true)]
#[case::of_none_by_another_name(None, &another().name, false)]
#[tokio::test]
async fn a_plan_is_busy_with_its_own_sessions_and_its_namesakes(
    #[case] of: Option<PlanRef>,
    #[case] name: &str,
    #[case] is_busy: bool,
) {
    let store = temporary().await;
    let mut session = running();
    (session.plan, session.facts.plan_name) = (of, name.to_owned());
    let mut tx = store.begin().await.expect("begun");
    tx.save_session(&session).await.expect("written");
    let busy = tx.busy_session(&plan()).await.expect("read");
    assert_eq!(busy, is_busy.then_some(session.facts.id));
}

#[rstest]
#[case::its_own_may_run(plan(), true)]
#[case::that_of_another_is_not_read(another(), false)]
#[tokio::test]
async fn a_session_that_cannot_be_read_keeps_its_own_plan_busy(#[case] of: PlanRef, #[case] is_busy: bool) {
    let store = temporary().await;
    let mut session = running();
    session.plan = Some(of);
    let mut tx = store.begin().await.expect("begun");
    tx.save_session(&session).await.expect("written");
    sqlx::query("update failover_sessions set facts = '{'")
        .execute(tx.connection())
        .await
        .expect("written");
    let busy = tx.busy_session(&plan()).await.expect("read");
    assert_eq!(busy, is_busy.then_some(session.facts.id));
    assert_eq!(store.unreadable_since().is_some(), is_busy);
}
