//! Operations that wait for approval, and those whose approved request was not sent.
//!
//! The last approval and the step to `submitting` are one write, which the index on busy plans may refuse. From then on the
//! operation is `unsent` until the process that submitted it begins to send, which one write allows at most once: so it is
//! known of each whether it may have been sent, whoever dies when.

use jiff::Timestamp;

use super::Inserted;
use crate::domain::id::OperationId;
use crate::domain::operation::Operation;
use crate::store::row::{Columns as _, micros};
use crate::store::{Error, Store, Tx, UPSTREAM};

/// The most operations that one look finds; the others are found by the next.
const MOST: i64 = 500;

impl Tx {
    /// Writes an operation that was read in this transaction as waiting, and goes into `submitting` by its last approval:
    /// this process is to send it. When its plan is busy, nothing more can be done in this transaction.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn submit_approved(&mut self, operation: &Operation) -> Result<Inserted, Error> {
        let submitted = sqlx::query(
            "update operations set state = $2, unsent = 1, submitted_by = $3, seen_observation = $4 \
             where id = $1 and state = 'awaitingApproval'",
        )
        .bind(operation.id.to_string())
        .bind(operation.state.as_str())
        .bind(self.replica().to_owned())
        .bind(operation.seen_observation)
        .execute(self.connection())
        .await
        .map_err(Error::from);
        match submitted {
            Err(error) if error.violates_unique() => return Ok(Inserted::PlanBusy),
            other => other?,
        };
        self.save_operation(operation).await?;
        Ok(Inserted::Done)
    }

    /// Marks an approved operation as one that may have been sent; false when it must not be sent, since it was marked
    /// before, has ended, or is another process' to send.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn begin_sending(&mut self, id: OperationId) -> Result<bool, Error> {
        let marked = sqlx::query(
            "update operations set unsent = 0 where id = $1 and state = 'submitting' and unsent = 1 and submitted_by = $2",
        )
        .bind(id.to_string())
        .bind(self.replica().to_owned())
        .execute(self.connection())
        .await?;
        self.note_writing();
        Ok(marked.rows_affected() == 1)
    }
}

impl Store {
    /// The operations that wait for approval, each with the end of its wait, soonest first.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn awaiting_approval(&self) -> Result<Vec<(OperationId, Timestamp)>, Error> {
        let rows = sqlx::query(
            "select id, approval_until from operations where upstream_id = $1 and state = 'awaitingApproval' \
             and approval_until is not null order by approval_until limit $2",
        )
        .bind(UPSTREAM)
        .bind(MOST)
        .fetch_all(self.reader())
        .await?;
        rows.iter()
            .map(|row| Ok((row.parsed("id")?, row.at("approval_until")?)))
            .collect()
    }

    /// The approved operations that were not sent and will not be: their process is gone, or has let its time pass.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn unsent_operations(&self, now: Timestamp) -> Result<Vec<OperationId>, Error> {
        let gone = self.0.engine.is_gone("operations.submitted_by", self.replica());
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select id from operations where upstream_id = $1 and unsent = 1 and state = 'submitting' \
             and (answer_due <= $2 or {gone}) order by requested_at limit $3"
        )))
        .bind(UPSTREAM)
        .bind(micros(now))
        .bind(MOST)
        .fetch_all(self.reader())
        .await?;
        rows.iter().map(|row| row.parsed("id")).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::later;
    use crate::domain::access::Tenancy;
    use crate::domain::approval::{Approval, GivenApproval};
    use crate::domain::command::Command;
    use crate::domain::operation::OperationState;
    use crate::domain::plan::{Action, PlanKind, PlanRef};
    use crate::store::testing::temporary;

    fn command() -> Command {
        Command::Act {
            plan: PlanRef {
                id: "3f56fa52-c902-4655-9774-2022fde214d2".parse().expect("an id"),
                kind: PlanKind::Cloud,
                name: "a plan".into(),
                tenant: None,
                backup_server: None,
            },
            action: Action::Test,
        }
    }

    fn waiting(store: &Store) -> Operation {
        let now = store.clock().now();
        let mut operation = command().operation(OperationId::new(store.clock().id()), now);
        operation.state = OperationState::AwaitingApproval;
        operation.history[0].state = operation.state;
        operation.reason = Some("a drill".into());
        operation.requester_issuer = Some("https://idp.example".into());
        operation.approval = Some(Approval {
            required: 1,
            given: Vec::new(),
            expires_at: later(now, Duration::from_hours(1)),
            plan_digest: "00".into(),
            confinement: None,
        });
        operation
    }

    async fn written(store: &Store) -> Operation {
        let operation = waiting(store);
        let mut tx = store.begin().await.expect("begun");
        let inserted = tx.insert_operation(&operation, &command()).await;
        assert_eq!(inserted.expect("inserted"), Inserted::Done);
        tx.commit().await.expect("committed");
        operation
    }

    fn approved(mut operation: Operation) -> Operation {
        let at = operation.requested_at;
        let approval = operation.approval.as_mut().expect("an approval");
        approval.given.push(GivenApproval {
            by: Some("lead".into()),
            issuer: None,
            at,
            comment: Some("go".into()),
        });
        operation.step(OperationState::Submitting, at, None);
        operation.seen_observation = 7;
        operation.answer_due = later(at, Duration::from_mins(1));
        operation
    }

    async fn submit(store: &Store, operation: &Operation) -> Inserted {
        let mut tx = store.begin().await.expect("begun");
        let submitted = tx.submit_approved(operation).await.expect("asked");
        if submitted == Inserted::Done {
            tx.commit().await.expect("committed");
        }
        submitted
    }

    async fn begin_sending(store: &Store, id: OperationId) -> bool {
        let mut tx = store.begin().await.expect("begun");
        let begun = tx.begin_sending(id).await.expect("asked");
        tx.commit().await.expect("committed");
        begun
    }

    #[tokio::test]
    async fn what_waits_for_approval_is_read_back_and_keeps_no_plan_busy() {
        let store = temporary().await;
        let (one, other) = (written(&store).await, written(&store).await);
        for operation in [&one, &other] {
            let read = store.operation(operation.id, &Tenancy::All).await.expect("read");
            assert_eq!(read.as_ref(), Some(operation));
        }
        assert_eq!(store.awaiting_approval().await.expect("read").len(), 2);
        assert!(store.unfinished_operations().await.expect("read").is_empty());
        assert_eq!(store.open_among(&[one.id]).await.expect("read").len(), 1);
        let mut tx = store.begin().await.expect("begun");
        let plan = one.plan.as_ref().expect("a plan");
        assert_eq!(tx.busy_operation(&plan.id).await.expect("read"), None);
    }

    #[tokio::test]
    async fn a_plan_takes_one_approved_operation_at_a_time() {
        let store = temporary().await;
        let (one, other) = (written(&store).await, written(&store).await);
        assert_eq!(submit(&store, &approved(one.clone())).await, Inserted::Done);
        assert_eq!(submit(&store, &approved(other.clone())).await, Inserted::PlanBusy);
        let read = store
            .operation(one.id, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        let expected = Operation {
            unsent: true,
            ..approved(one)
        };
        assert_eq!(read, expected);
        let read = store.operation(other.id, &Tenancy::All).await.expect("read");
        assert_eq!(read, Some(other), "it goes on waiting");
    }

    #[tokio::test]
    async fn sending_begins_once_and_only_where_it_was_submitted() {
        let store = temporary().await;
        let operation = written(&store).await;
        assert!(!begin_sending(&store, operation.id).await, "not approved yet");
        submit(&store, &approved(operation.clone())).await;
        let mut tx = store.begin().await.expect("begun");
        tx.leave_to("another").await.expect("left");
        assert!(!tx.begin_sending(operation.id).await.expect("asked"));
        drop(tx);
        assert!(begin_sending(&store, operation.id).await);
        assert!(!begin_sending(&store, operation.id).await, "a second time");
    }

    #[tokio::test]
    async fn what_was_not_sent_is_found_when_its_process_is_gone_or_late() {
        let store = temporary().await;
        let operation = approved(written(&store).await);
        submit(&store, &operation).await;
        let found = async |now| store.unsent_operations(now).await.expect("read");
        assert!(found(operation.requested_at).await.is_empty());
        assert_eq!(found(operation.answer_due).await, [operation.id]);
        let mut tx = store.begin().await.expect("begun");
        tx.leave_to("another").await.expect("left");
        tx.commit().await.expect("committed");
        assert_eq!(found(operation.requested_at).await, [operation.id]);
        let mut tx = store.begin().await.expect("begun");
        tx.run("update operations set unsent = 0").await.expect("marked");
        tx.commit().await.expect("committed");
        assert!(
            found(operation.answer_due).await.is_empty(),
            "it may have been sent"
        );
    }
}
