//! One request to EM for a caller: lease a session, send, and see to it that the caller never meets EM's
//! session trouble.
//!
//! One new attempt is made after a 401 (or a 403 that turns out to be one), in a session known to live, and after a
//! connection that could not be opened. Both mean that EM did not act, so the attempt is as good as the first. Nothing
//! else is ever sent twice from here.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::documents;
use super::error::{Error, Kind};
use super::limits::Class;
use super::logons::{Lease, Pool};
use super::transport::{Answer, Content, Transport};
use crate::domain::command::WriteMethod;

/// Before the new attempt after a connection that could not be opened.
const PAUSE: Duration = Duration::from_millis(200);

/// Asked right before a write is sent: whether it still may be.
pub(super) type SendPermit = Arc<dyn Fn() -> bool + Send + Sync>;

/// What is sent.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    /// GET, and how much time it has.
    Read(Class),
    /// Whatever changes EM: a method and its body.
    Write(WriteMethod, &'a [u8]),
}

const fn http_method(method: WriteMethod) -> Method {
    match method {
        WriteMethod::Post => Method::POST,
        WriteMethod::Put => Method::PUT,
        WriteMethod::Delete => Method::DELETE,
    }
}

async fn once(transport: &Transport, lease: &Lease, target: &str, call: Call<'_>) -> Result<Answer, Error> {
    let (account, auth) = (&lease.pool.account, lease.auth());
    match call {
        Call::Read(class) => transport.read(account, class, target, auth).await,
        Call::Write(method, body) => {
            transport
                .write(
                    account,
                    Class::Action,
                    http_method(method),
                    target,
                    auth,
                    Content::Xml(body),
                )
                .await
        }
    }
}

/// Sends in any session of the account, while `permit` says so or not at all. The answer has a status of success; the lease
/// tells the session.
///
/// # Errors
/// Everything that [`Kind`] knows; [`Error::acted`] is right for the whole of it.
pub(super) async fn authorized(
    transport: &Transport,
    pool: &Arc<Pool>,
    target: &str,
    call: Call<'_>,
    permit: Option<&SendPermit>,
) -> Result<(Answer, Lease), Error> {
    let latest = Instant::now() + transport.limits.again();
    let mut lease = pool.lease().await?;
    let mut fresh = false;
    loop {
        if permit.is_some_and(|permit| !permit()) {
            return Err(Error::before_sending(Kind::DeadlinePassed));
        }
        let sent = pool.next_seq();
        let outcome = once(transport, &lease, target, call).await;
        let again = !fresh && Instant::now() < latest;
        let expired = match &outcome {
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => true,
            Ok(answer) if answer.status == StatusCode::FORBIDDEN => pool.expired_behind_403(&lease).await,
            Err(error) if again && matches!(error.kind(), Kind::Unreachable { .. }) => {
                tokio::time::sleep(PAUSE).await;
                fresh = true;
                continue;
            }
            Ok(_) | Err(_) => false,
        };
        let answer = outcome?;
        if !expired {
            pool.mark_alive(&lease.logon, sent);
            return Ok((documents::accept(answer)?, lease));
        }
        let moment = pool.forget(&lease.logon);
        if !again {
            // A session that was just proven alive is refused: another logon would not help.
            return Err(Error::after_sending(Kind::CredentialsRefused {
                message: documents::message(&answer),
                retry_after: Duration::from_secs(5),
            }));
        }
        drop(lease);
        lease = pool.lease_alive_since(moment).await?;
        fresh = true;
    }
}

/// Sends in the session of that lease, once. `None`: the session is dead, and what lived in it is gone.
///
/// # Errors
/// As [`authorized`].
pub(super) async fn within(
    transport: &Transport,
    lease: &Lease,
    target: &str,
    call: Call<'_>,
) -> Result<Option<Answer>, Error> {
    let sent = lease.pool.next_seq();
    let answer = once(transport, lease, target, call).await?;
    let expired = match answer.status {
        StatusCode::UNAUTHORIZED => true,
        StatusCode::FORBIDDEN => lease.pool.expired_behind_403(lease).await,
        _ => false,
    };
    if expired {
        lease.pool.forget(&lease.logon);
        return Ok(None);
    }
    lease.pool.mark_alive(&lease.logon, sent);
    documents::accept(answer).map(Some)
}
