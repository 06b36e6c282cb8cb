//! What operations send to EM: kept sealed beside them, since a body may hold passwords.
//!
//! Written with the operation, before anything is sent (`operations`), and read to show it, or to send it as it was
//! approved.

use secrecy::{ExposeSecret as _, SecretString};

use super::row::{Columns as _, json};
use super::seal::Sealer;
use super::{Error, Store};
use crate::domain::command::Command;
use crate::domain::id::OperationId;

const COLUMN: &str = "operations.command";

/// A command for its column.
///
/// # Errors
/// [`Error::Unsealable`].
pub(super) fn sealed(sealer: &Sealer, command: &Command) -> Result<String, Error> {
    sealer.seal(COLUMN, &SecretString::from(json(command, COLUMN)?))
}

impl Store {
    /// What an operation sends, or sent, to EM. None for rows of programs that did not keep it, and for writes through
    /// the mirror that have ended.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Unsealable`], [`Error::Corrupt`].
    pub async fn command(&self, id: OperationId) -> Result<Option<Command>, Error> {
        let row = sqlx::query("select command from operations where id = $1")
            .bind(id.to_string())
            .fetch_optional(self.reader())
            .await?;
        let sealed = row.map(|row| row.opt_text("command")).transpose()?.flatten();
        sealed
            .map(|sealed| {
                let opened = self.sealer().open_sealed(COLUMN, &sealed)?;
                let corrupt = Error::Corrupt { what: COLUMN };
                serde_json::from_str(opened.expose_secret()).map_err(|_| corrupt)
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{ExpectedReply, MirrorWrite, WriteMethod};
    use crate::domain::plan::{Action, PlanCommand, PlanEdit, PlanKind, PlanRef};
    use crate::store::testing::{new_operation, temporary};

    fn commands() -> Vec<Command> {
        let plan = PlanRef {
            id: "3f56fa52-c902-4655-9774-2022fde214d2".parse().expect("an id"),
            kind: PlanKind::Cloud,
            name: "a plan".into(),
            tenant: None,
            backup_server: None,
        };
        let script = PlanCommand {
            enabled: true,
            command: Some("net use /password:hunter2".into()),
        };
        vec![
            Command::Act {
                plan: plan.clone(),
                action: Action::Start {
                    before: Some("2026-01-31T12:00:00.123456789Z".parse().expect("a time")),
                },
            },
            Command::Act {
                plan: plan.clone(),
                action: Action::Undo,
            },
            Command::EditPlan {
                plan: plan.clone(),
                edit: PlanEdit::Cloud {
                    pre_command: script,
                    post_command: PlanCommand::default(),
                },
            },
            Command::EditPlan {
                plan: plan.clone(),
                edit: PlanEdit::OnPremises {
                    description: String::new(),
                },
            },
            Command::DeletePlan { plan },
            Command::Mirror(MirrorWrite {
                method: WriteMethod::Put,
                path: "/credentials/1".into(),
                target: "credentials/1?x=1".into(),
                action: "put".into(),
                body: "<Spec><Password>hunter2</Password></Spec>".into(),
                reply: ExpectedReply::Nothing,
            }),
        ]
    }

    #[tokio::test]
    async fn a_command_is_read_back_as_it_was_written() {
        let store = temporary().await;
        for command in commands() {
            let operation = new_operation(&store);
            let mut tx = store.begin().await.expect("begun");
            tx.insert_operation(&operation, &command).await.expect("inserted");
            tx.commit().await.expect("committed");
            let read = store.command(operation.id).await.expect("read");
            assert_eq!(read, Some(command));
        }
    }

    #[tokio::test]
    async fn a_command_is_sealed() {
        let store = temporary().await;
        for command in commands() {
            let operation = new_operation(&store);
            let mut tx = store.begin().await.expect("begun");
            tx.insert_operation(&operation, &command).await.expect("inserted");
            let stored = tx.text_of("select command as found from operations order by id desc limit 1");
            let stored = stored.await.expect("read");
            assert!(
                !stored.contains("hunter2") && !stored.contains("plan"),
                "{stored}"
            );
        }
    }

    #[tokio::test]
    async fn the_command_of_a_mirrored_write_goes_when_it_ends() {
        let store = temporary().await;
        let mut operation = new_operation(&store);
        let mut tx = store.begin().await.expect("begun");
        let write = commands().pop().expect("the last is one");
        tx.insert_operation(&operation, &write).await.expect("inserted");
        operation.finish(None, None, operation.requested_at);
        tx.save_operation(&operation).await.expect("saved");
        tx.commit().await.expect("committed");
        assert_eq!(store.command(operation.id).await.expect("read"), None);
    }
}
