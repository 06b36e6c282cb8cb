//! Things that live in another EM are no things of this one.

use jiff::Timestamp;

use super::testing::{new_command, new_operation, temporary};
use super::{Store, UPSTREAM};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::id::{EmId, LogonId};
use crate::domain::logon::SavedLogon;
use crate::domain::operation::{Operation, OperationKind};
use crate::domain::plan::{PlanKind, PlanRef};
use crate::domain::session::{SessionFacts, SessionPhase, SessionRecord, SessionState};
use crate::store::operations::Inserted;

const ID: &str = "3f56fa52-c902-4655-9774-2022fde214d2";

fn id() -> EmId {
    ID.parse().expect("an id")
}

pub(super) fn plan() -> PlanRef {
    PlanRef {
        id: id(),
        kind: PlanKind::Cloud,
        name: "ABC Company Failover Plan".into(),
        tenant: None,
        backup_server: None,
    }
}

fn failover(store: &Store) -> Operation {
    Operation {
        kind: OperationKind::Failover,
        action: "test".into(),
        plan: Some(plan()),
        target: None,
        ..new_operation(store)
    }
}

pub(super) fn running() -> SessionRecord {
    SessionRecord {
        facts: SessionFacts {
            id: id(),
            uid: None,
            plan_name: "ABC Company Failover Plan".into(),
            job: None,
            job_type: None,
            backup_server: None,
            state: SessionState::Working,
            result: None,
            progress: None,
            started_at: None,
            ended_at: None,
            failure_message: None,
            machines: vec![],
        },
        plan: Some(plan()),
        first_seen_at: Timestamp::UNIX_EPOCH,
        first_observation: 1,
        stopped_seen_at: None,
        missed: 0,
        sequence: 1,
        phase: SessionPhase::Open,
    }
}

/// Gives what is in the table to another EM.
async fn given_away(store: &Store, sql: &'static str) {
    let mut tx = store.begin().await.expect("begun");
    sqlx::query(sql).execute(tx.connection()).await.expect("written");
    tx.commit().await.expect("committed");
}

#[tokio::test]
async fn a_plan_is_not_busy_with_an_operation_of_its_namesake_at_another_em() {
    let store = temporary().await;
    let mut tx = store.begin().await.expect("begun");
    let first = failover(&store);
    assert_eq!(
        tx.insert_operation(&first, &new_command())
            .await
            .expect("written"),
        Inserted::Done
    );
    tx.commit().await.expect("committed");
    given_away(&store, "update operations set upstream_id = 'second'").await;

    assert!(store.unfinished_operations().await.expect("read").is_empty());
    let mut tx = store.begin().await.expect("begun");
    assert_eq!(tx.busy_operation(&id()).await.expect("read"), None);
    let second = tx
        .insert_operation(&failover(&store), &new_command())
        .await
        .expect("written");
    assert_eq!(second, Inserted::Done);
}

#[tokio::test]
async fn a_session_of_another_em_is_not_known() {
    let store = temporary().await;
    let mut tx = store.begin().await.expect("begun");
    tx.save_session(&running()).await.expect("written");
    tx.commit().await.expect("committed");
    assert_eq!(store.open_session_ids().await.expect("read"), [id()]);
    given_away(&store, "update failover_sessions set upstream_id = 'second'").await;

    assert!(store.open_session_ids().await.expect("read").is_empty());
    assert!(
        store
            .sessions_known(&[id()], &crate::domain::access::Tenancy::All)
            .await
            .expect("read")
            .is_empty()
    );
    let mut tx = store.begin().await.expect("begun");
    assert_eq!(tx.busy_session(&plan()).await.expect("read"), None);
}

#[tokio::test]
async fn a_logon_session_at_another_em_is_not_resumed() {
    let store = temporary().await;
    let saved = SavedLogon {
        id: LogonId(SystemClock.id()),
        account: "operators".into(),
        token: "a token".into(),
        path: "logonSessions/1".into(),
        version: Some("v1_7".to_owned()),
    };
    let mut tx = store.begin().await.expect("begun");
    tx.keep_logon(&saved).await.expect("kept");
    tx.commit().await.expect("committed");
    given_away(&store, "update upstream_logons set owner = 'another'").await;
    assert_eq!(store.kept_logons().await.expect("read").len(), 1);
    given_away(&store, "update upstream_logons set upstream_id = 'second'").await;
    assert!(store.kept_logons().await.expect("read").is_empty());
}

#[tokio::test]
async fn what_is_written_names_its_em() {
    let store = temporary().await;
    let mut tx = store.begin().await.expect("begun");
    tx.insert_operation(&failover(&store), &new_command())
        .await
        .expect("written");
    tx.save_session(&running()).await.expect("written");
    tx.commit().await.expect("committed");
    for sql in [
        "select count(*) as here from operations where upstream_id = $1",
        "select count(*) as here from failover_sessions where upstream_id = $1",
    ] {
        use super::row::Columns as _;
        let row = sqlx::query(sql).bind(UPSTREAM).fetch_one(store.reader()).await;
        assert_eq!(row.expect("a row").int("here").expect("a number"), 1, "{sql}");
    }
}
