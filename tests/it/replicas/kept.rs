//! A logon session that one operation needs no longer and the next one already does: it is kept, whichever commits first.

use emgate::domain::id::{LogonId, OperationId, TaskId};
use emgate::domain::logon::SavedLogon;
use emgate::domain::operation::{OperationState, OperationTask, TaskState};
use emgate::store::{Store, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

use super::world::{connection_to, store_on, until_waiting};
use crate::support::postgres::database;

fn logon() -> SavedLogon {
    SavedLogon {
        id: LogonId(Uuid::nil()),
        account: "operators".to_owned(),
        token: "a token".into(),
        path: "logonSessions/1".into(),
        version: Some("v1_7".to_owned()),
    }
}

/// A kept session that nothing needs, and an operation that has been sent.
async fn stage() -> (Store, PgConnection, OperationId) {
    let database = database().await;
    let store = store_on(&database).await;
    let mut connection = connection_to(&database).await;
    let id = OperationId::new(Uuid::now_v7());
    sqlx::query(
        "insert into operations (id, kind, action, state, requested_at, seen_observation, answer_due, evidence_deadline) \
         values ($1, 'em', 'start', 'submitting', 1, 1, 1, 1)",
    )
    .bind(id.to_string())
    .execute(&mut connection)
    .await
    .expect("an operation");
    let mut tx = store.begin().await.expect("begun");
    tx.keep_logon(&logon()).await.expect("kept");
    tx.commit().await.expect("committed");
    (store, connection, id)
}

/// What recording EM's answer does.
async fn take(tx: &mut Tx, id: OperationId) {
    let operation = tx
        .operation(id, &emgate::domain::access::Tenancy::All)
        .await
        .expect("read");
    let mut operation = operation.expect("the operation");
    tx.keep_logon(&logon()).await.expect("kept");
    operation.task = Some(OperationTask {
        id: TaskId("task-2".to_owned()),
        logon: Some(logon().id),
        state: TaskState::Running,
        message: None,
    });
    operation.step(OperationState::Running, operation.requested_at, None);
    tx.save_operation(&operation).await.expect("saved");
}

async fn kept(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "select count(*) from upstream_logons join operations on task_logon = upstream_logons.id",
    )
    .fetch_one(connection)
    .await
    .expect("counted")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_an_operation_is_about_to_need_is_not_forgotten() {
    let (store, mut connection, id) = stage().await;
    let mut taking = store.begin().await.expect("begun");
    take(&mut taking, id).await;
    let mut forgetting = store.begin().await.expect("begun");
    let forgotten = tokio::spawn(async move {
        forgetting.forget_unneeded_logons().await.expect("forgotten");
        forgetting.commit().await.expect("committed");
    });
    until_waiting(&mut connection, 1, || forgotten.is_finished()).await;
    taking.commit().await.expect("committed");
    forgotten.await.expect("whole");
    assert_eq!(kept(&mut connection).await, 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_being_forgotten_is_kept_anew() {
    let (store, mut connection, id) = stage().await;
    let mut forgetting = store.begin().await.expect("begun");
    forgetting.forget_unneeded_logons().await.expect("forgotten");
    let mut taking = store.begin().await.expect("begun");
    let taken = tokio::spawn(async move {
        take(&mut taking, id).await;
        taking.commit().await.expect("committed");
    });
    until_waiting(&mut connection, 1, || taken.is_finished()).await;
    forgetting.commit().await.expect("committed");
    taken.await.expect("whole");
    assert_eq!(kept(&mut connection).await, 1);
    store.close().await;
}
