//! Text from outside on its way into a column: PostgreSQL's text has no U+0000, so no engine's has.
//!
//! What a caller says is refused, since it may say something else. What Enterprise Manager or a receiver said cannot be
//! said again, and is kept as well as it can be.

use super::Error;

/// A caller's text, refused where no column can hold it.
///
/// # Errors
/// [`Error::RefusedValue`].
pub(in crate::store) fn checked(text: &str) -> Result<&str, Error> {
    if text.contains('\0') {
        Err(Error::RefusedValue { source: None })
    } else {
        Ok(text)
    }
}

/// The same where there may be none.
///
/// # Errors
/// [`Error::RefusedValue`].
pub(in crate::store) fn opt_checked(text: Option<&str>) -> Result<Option<&str>, Error> {
    text.map(checked).transpose()
}

/// Text from outside, U+FFFD in place of what no column can hold.
pub(in crate::store) fn kept(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The same where there may be none.
pub(in crate::store) fn opt_kept(text: Option<&String>) -> Option<String> {
    text.map(|text| kept(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Tenancy;
    use crate::domain::id::EndpointId;
    use crate::domain::operation::{Failure, FailureSource, Operation, OperationState};
    use crate::domain::webhook::Owner;
    use crate::domain::webhook::endpoint::{Settings, SigningSecret};
    use crate::domain::webhook::target::TargetUrl;
    use crate::store::Store;
    use crate::store::operations::OperationFilter;
    use crate::store::testing::{new_command, new_operation, temporary};

    /// The value is to blame, not the store, which goes on.
    async fn is_refused<T: std::fmt::Debug>(store: &Store, outcome: Result<T, Error>) {
        let error = outcome.expect_err("a column cannot hold it");
        assert!(matches!(error, Error::RefusedValue { .. }), "{error:?}");
        assert!(error.is_about_the_row());
        store.ping().await.expect("the store is well");
        assert_eq!(store.refuses_writes(), None);
    }

    #[tokio::test]
    async fn text_that_no_column_can_hold_is_no_outage() {
        let store = temporary().await;
        let settings = Settings {
            description: Some("a\0b".into()),
            ..Settings::default()
        };
        let target = TargetUrl::parse("https://receiver.example/", false).expect("a URL");
        let id = EndpointId::new(store.clock().id());
        let secret = SigningSecret::from_key(&[1; 32]);
        let mut tx = store.begin().await.expect("begun");
        let inserted = tx
            .insert_endpoint(id, &Owner::default(), &target, &secret, &settings)
            .await;
        drop(tx);
        is_refused(&store, inserted).await;
        let spoilt = [
            Operation {
                action: "po\0st".into(),
                ..new_operation(&store)
            },
            Operation {
                target: Some("/jobs/\0".into()),
                ..new_operation(&store)
            },
            Operation {
                requested_by: Some("por\0tal".into()),
                ..new_operation(&store)
            },
        ];
        for operation in spoilt {
            let mut tx = store.begin().await.expect("begun");
            let inserted = tx.insert_operation(&operation, &new_command()).await.map(|_| ());
            drop(tx);
            is_refused(&store, inserted).await;
        }
        let nothing = store
            .operations(&Tenancy::All, &OperationFilter::default(), None, 10)
            .await;
        assert_eq!(nothing.expect("read"), []);
    }

    #[tokio::test]
    async fn what_the_database_itself_refuses_as_text_is_no_outage() {
        let store = temporary().await;
        let mut tx = store.begin().await.expect("begun");
        let outcome = sqlx::query("insert into meta (key, value) values ('text', $1)")
            .bind("a\0b")
            .execute(tx.connection())
            .await;
        drop(tx);
        match outcome {
            // SQLite takes it; that is why it is refused before it comes to that.
            Ok(_) => assert!(!store.is_shared()),
            Err(error) => is_refused(&store, Err::<(), Error>(error.into())).await,
        }
    }

    #[tokio::test]
    async fn what_others_said_is_kept_with_a_mark_in_place_of_what_no_column_can_hold() {
        let store = temporary().await;
        let mut operation = new_operation(&store);
        let mut tx = store.begin().await.expect("begun");
        tx.insert_operation(&operation, &new_command())
            .await
            .expect("inserted");
        operation.failure = Some(Failure {
            message: "said\0so".into(),
            source: FailureSource::Task,
        });
        operation.step(
            OperationState::Finished,
            store.clock().now(),
            Some("be\0cause".into()),
        );
        operation.finished_at = Some(store.clock().now());
        tx.save_operation(&operation).await.expect("kept");
        tx.commit().await.expect("committed");
        let kept = store
            .operation(operation.id, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        assert_eq!(kept.failure.expect("a failure").message, "said\u{fffd}so");
        let reasons: Vec<_> = kept
            .history
            .iter()
            .filter_map(|step| step.reason.as_deref())
            .collect();
        assert_eq!(reasons, ["be\u{fffd}cause"]);
    }
}
