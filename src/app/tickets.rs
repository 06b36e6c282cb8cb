//! Tickets: what stands for a caller's token where a request cannot carry one (docs/streams.md#tickets).
//!
//! A ticket is 32 random bytes. The store keeps its SHA-256 with the caller, so that any replica takes it and whoever reads
//! the store cannot use it. It never gives more than the token did that it was issued for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::audit::Told;
use super::{App, Error, OpContext};
use crate::clock::{Clock, later};
use crate::domain::access::{Caller, Scope};
use crate::domain::audit::AuditAction;
use crate::domain::id::OperationId;
use crate::domain::links::API;
use crate::telemetry::names;

/// How long a ticket for a stream counts; it is used at once.
const FOR_STREAM: Duration = Duration::from_mins(1);
/// How long a ticket for an operation counts.
const FOR_OPERATION: Duration = Duration::from_hours(24);
/// Random bytes of a ticket.
const BYTES: usize = 32;
/// Characters of a ticket: its bytes in base64.
pub(super) const LENGTH: usize = 43;

/// A ticket that was just issued. Only its digest is kept.
#[derive(Debug)]
pub struct NewTicket {
    /// What is put into the query.
    pub ticket: SecretString,
    /// When it stops to count.
    pub expires_at: Timestamp,
}

impl App {
    /// Issues a ticket for one stream, with the rights of the caller.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn issue_stream_ticket(&self, context: &OpContext) -> Result<NewTicket, Error> {
        let new = new_ticket(self.clock.as_ref(), FOR_STREAM);
        let hash = digest(new.ticket.expose_secret());
        let mut tx = self.store.begin().await?;
        tx.add_stream_ticket(&hash, &context.caller, new.expires_at)
            .await?;
        tx.audit(
            context,
            AuditAction::StreamTicket,
            Told::of(format!("{API}/stream-tickets")),
        );
        tx.commit().await?;
        count("stream", "issued");
        Ok(new)
    }

    /// The caller that a ticket for a stream stands for; it is used by that.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn use_stream_ticket(&self, ticket: &str) -> Result<Option<Caller>, Error> {
        let now = self.clock.now();
        let mut caller = None;
        if ticket.len() == LENGTH {
            let mut tx = self.store.begin().await?;
            caller = tx.take_stream_ticket(&digest(ticket), now).await?;
            if caller.is_some() {
                tx.commit().await?;
            }
        }
        let caller = caller.filter(|caller| caller.expires_at > now);
        count("stream", if caller.is_some() { "used" } else { "refused" });
        Ok(caller)
    }

    /// Issues a ticket for reading an operation, which the caller sees.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn issue_operation_ticket(
        &self,
        context: &OpContext,
        operation: OperationId,
    ) -> Result<NewTicket, Error> {
        let new = new_ticket(self.clock.as_ref(), FOR_OPERATION);
        let hash = digest(new.ticket.expose_secret());
        let caller = Caller {
            scopes: [Scope::OperationsRead].into(),
            expires_at: new.expires_at,
            ..(*context.caller).clone()
        };
        let mut tx = self.store.begin().await?;
        tx.add_operation_ticket(&hash, operation, &caller, new.expires_at)
            .await?;
        let told = Told {
            operation: Some(operation),
            ..Told::of(format!("{API}/operations/{operation}"))
        };
        tx.audit(context, AuditAction::OperationTicket, told);
        tx.commit().await?;
        count("operation", "issued");
        Ok(new)
    }

    /// The caller that a ticket for this operation stands for: its requester, who may read operations.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn use_operation_ticket(
        &self,
        ticket: &str,
        operation: OperationId,
    ) -> Result<Option<Caller>, Error> {
        let caller = if ticket.len() == LENGTH {
            let now = self.clock.now();
            self.store
                .operation_ticket(&digest(ticket), operation, now)
                .await?
        } else {
            None
        };
        count("operation", if caller.is_some() { "used" } else { "refused" });
        Ok(caller)
    }
}

fn new_ticket(clock: &dyn Clock, lasts: Duration) -> NewTicket {
    NewTicket {
        ticket: random_text(clock),
        expires_at: later(clock.now(), lasts),
    }
}

/// A text that nobody guesses.
pub(super) fn random_text(clock: &dyn Clock) -> SecretString {
    let mut bytes = [0; BYTES];
    clock.random(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes).into()
}

/// What is kept of a ticket. It has no salt: there is nothing to guess in 32 random bytes.
pub(super) fn digest(ticket: &str) -> String {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, ticket.as_bytes());
    hash.as_ref().iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

fn count(of: &'static str, outcome: &'static str) {
    metrics::counter!(names::TICKETS, "for" => of, "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_ticket_has_the_length_that_is_looked_up() {
        let new = new_ticket(&SystemClock, FOR_STREAM);
        let text = new.ticket.expose_secret();
        assert_eq!(text.len(), LENGTH);
        assert_eq!(digest(text).len(), 64);
        assert_ne!(text, new_ticket(&SystemClock, FOR_STREAM).ticket.expose_secret());
        assert!(!format!("{new:?}").contains(text));
    }
}
