//! Why EM could not be asked, or did not do what was asked.
//!
//! The error keeps three facts until the edge: whose fault it is, whether EM may have acted, and when another
//! attempt makes sense. The rule that a failover is submitted at most once reads [`Error::acted`] and nothing else.

use std::fmt;
use std::time::Duration;

use super::types::Acted;

/// What went wrong. EM's own words (`message`) are bounded and never hold a stack trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// No connection could be opened: name, network, port or TLS.
    Unreachable {
        /// What failed, without addresses.
        reason: String,
    },
    /// The connection broke before the whole answer was there.
    ConnectionLost {
        /// What failed, without addresses.
        reason: String,
    },
    /// The whole answer was not there in time.
    TimedOut,
    /// EM refuses the gateway's own credentials, or a logon session that it has just granted.
    CredentialsRefused {
        /// EM's words.
        message: Option<String>,
        /// When the gateway tries again; refused attempts are spaced out so that no account is locked.
        retry_after: Duration,
    },
    /// EM says that it is overloaded or in maintenance, or has no logon session left: 503 or 429.
    Overloaded {
        /// EM's status.
        status: u16,
        /// EM's words.
        message: Option<String>,
        /// EM's `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// All logon sessions of the account were in use for too long.
    NoFreeLogon,
    /// The moment had passed until which a write was to be sent.
    DeadlinePassed,
    /// EM definitely refused what was asked: 400, 403, 404 or 409.
    Refused {
        /// EM's status.
        status: u16,
        /// EM's words.
        message: Option<String>,
    },
    /// EM failed, or answered with a status that makes no sense here.
    Failed {
        /// EM's status.
        status: u16,
        /// EM's words.
        message: Option<String>,
    },
    /// EM's answer is not a document that can be trusted.
    InvalidResponse {
        /// What is wrong with it.
        reason: String,
    },
    /// EM's answer is larger than `upstream.max_response`.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// EM did not answer several times in a row and is not asked until then.
    CircuitOpen {
        /// When it is asked again.
        retry_after: Duration,
    },
    /// The gateway stops and asks nothing any more.
    ShuttingDown,
    /// What was to be sent could not be written as a document of EM's.
    NotEncodable {
        /// What is wrong with it.
        reason: String,
    },
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// What was asked for is not there or not allowed.
    Caller,
    /// The configuration: credentials.
    Operator,
    /// EM or the network to it.
    Upstream,
    /// The gateway.
    Gateway,
}

/// Why EM could not be asked, or did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    sent: bool,
}

impl Error {
    /// Something that happened before the request itself could be sent (while logging on, for example).
    pub(super) const fn before_sending(kind: Kind) -> Self {
        Self { kind, sent: false }
    }

    /// Something that happened when the request may have been on its way.
    pub(super) const fn after_sending(kind: Kind) -> Self {
        Self { kind, sent: true }
    }

    /// The same failure, but of a request that only prepared another one, which was not sent. What EM refused
    /// then is not what the caller asked for: a logon that ends with 404 does not mean that the plan is not there.
    pub(super) fn before_main_request(self) -> Self {
        let kind = match self.kind {
            Kind::Refused { status, message } => Kind::Failed { status, message },
            kind => kind,
        };
        Self { kind, sent: false }
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether EM may have done what was asked.
    #[must_use]
    pub const fn acted(&self) -> Acted {
        if !self.sent {
            return Acted::No;
        }
        match &self.kind {
            Kind::Unreachable { .. }
            | Kind::CredentialsRefused { .. }
            | Kind::NoFreeLogon
            | Kind::DeadlinePassed
            | Kind::CircuitOpen { .. }
            | Kind::ShuttingDown
            | Kind::NotEncodable { .. } => Acted::No,
            Kind::Refused { status, .. } | Kind::Failed { status, .. } | Kind::Overloaded { status, .. } => {
                if refused_for_certain(*status) {
                    Acted::No
                } else {
                    Acted::Maybe
                }
            }
            Kind::ConnectionLost { .. }
            | Kind::TimedOut
            | Kind::InvalidResponse { .. }
            | Kind::TooLarge { .. } => Acted::Maybe,
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn whose(&self) -> Whose {
        match &self.kind {
            Kind::Refused { .. } => Whose::Caller,
            Kind::CredentialsRefused { .. } => Whose::Operator,
            Kind::NoFreeLogon | Kind::DeadlinePassed | Kind::ShuttingDown | Kind::NotEncodable { .. } => {
                Whose::Gateway
            }
            Kind::Unreachable { .. }
            | Kind::ConnectionLost { .. }
            | Kind::TimedOut
            | Kind::Overloaded { .. }
            | Kind::Failed { .. }
            | Kind::InvalidResponse { .. }
            | Kind::TooLarge { .. }
            | Kind::CircuitOpen { .. } => Whose::Upstream,
        }
    }

    /// When a retry may help; `None` when it would not, or when is unknown.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match &self.kind {
            Kind::CredentialsRefused { retry_after, .. } | Kind::CircuitOpen { retry_after } => {
                Some(*retry_after)
            }
            Kind::Overloaded {
                retry_after: Some(wait),
                ..
            } => Some(*wait),
            Kind::Overloaded {
                retry_after: None, ..
            }
            | Kind::Unreachable { .. }
            | Kind::ConnectionLost { .. }
            | Kind::NoFreeLogon
            | Kind::DeadlinePassed
            | Kind::ShuttingDown => Some(Duration::from_secs(5)),
            Kind::TimedOut
            | Kind::Refused { .. }
            | Kind::Failed { .. }
            | Kind::InvalidResponse { .. }
            | Kind::TooLarge { .. }
            | Kind::NotEncodable { .. } => None,
        }
    }

    /// EM's status, where it answered with one that is an error.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match &self.kind {
            Kind::Overloaded { status, .. } | Kind::Refused { status, .. } | Kind::Failed { status, .. } => {
                Some(*status)
            }
            Kind::Unreachable { .. }
            | Kind::ConnectionLost { .. }
            | Kind::TimedOut
            | Kind::CredentialsRefused { .. }
            | Kind::NoFreeLogon
            | Kind::DeadlinePassed
            | Kind::InvalidResponse { .. }
            | Kind::TooLarge { .. }
            | Kind::CircuitOpen { .. }
            | Kind::ShuttingDown
            | Kind::NotEncodable { .. } => None,
        }
    }

    /// EM's own words, where it said something.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match &self.kind {
            Kind::CredentialsRefused { message, .. }
            | Kind::Overloaded { message, .. }
            | Kind::Refused { message, .. }
            | Kind::Failed { message, .. } => message.as_deref(),
            Kind::Unreachable { .. }
            | Kind::ConnectionLost { .. }
            | Kind::TimedOut
            | Kind::NoFreeLogon
            | Kind::DeadlinePassed
            | Kind::InvalidResponse { .. }
            | Kind::TooLarge { .. }
            | Kind::CircuitOpen { .. }
            | Kind::ShuttingDown
            | Kind::NotEncodable { .. } => None,
        }
    }

    /// One sentence for callers: EM's own words where it said something, else what went wrong.
    #[must_use]
    pub fn public_message(&self) -> String {
        self.message().map_or_else(|| self.to_string(), str::to_owned)
    }

    /// EM does not know what was asked for.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(&self.kind, Kind::Refused { status: 404, .. })
    }

    /// A read that failed like this may succeed when it is repeated at once.
    pub(super) const fn is_transient(&self) -> bool {
        matches!(&self.kind, Kind::Unreachable { .. } | Kind::ConnectionLost { .. })
    }

    /// A word for metrics.
    pub(super) const fn label(&self) -> &'static str {
        match &self.kind {
            Kind::Unreachable { .. } => "unreachable",
            Kind::ConnectionLost { .. } => "interrupted",
            Kind::TimedOut => "timed-out",
            Kind::CredentialsRefused { .. } => "credentials-refused",
            Kind::Overloaded { .. } => "busy",
            Kind::NoFreeLogon => "no-free-logon",
            Kind::DeadlinePassed => "too-late",
            Kind::Refused { .. } => "refused",
            Kind::Failed { .. } => "failed",
            Kind::InvalidResponse { .. } => "invalid-response",
            Kind::TooLarge { .. } => "too-large",
            Kind::CircuitOpen { .. } => "circuit-open",
            Kind::ShuttingDown => "shutting-down",
            Kind::NotEncodable { .. } => "unsendable",
        }
    }
}

/// A 4xx says that EM did not do it, with the exception of 408, which says that EM lost patience at some point
/// (docs/behaviour.md#actions).
const fn refused_for_certain(status: u16) -> bool {
    matches!(status, 400..=499) && status != 408
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |f: &mut fmt::Formatter<'_>, message: &Option<String>| match message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        };
        match &self.kind {
            Kind::Unreachable { reason } => write!(f, "Enterprise Manager cannot be reached: {reason}"),
            Kind::ConnectionLost { reason } => {
                write!(f, "the connection to Enterprise Manager broke: {reason}")
            }
            Kind::TimedOut => f.write_str("Enterprise Manager did not answer in time"),
            Kind::CredentialsRefused { message, .. } => {
                f.write_str("Enterprise Manager refuses the gateway's credentials")?;
                quoted(f, message)
            }
            Kind::Overloaded { status, message, .. } => {
                write!(
                    f,
                    "Enterprise Manager is overloaded or in maintenance (status {status})"
                )?;
                quoted(f, message)
            }
            Kind::NoFreeLogon => f.write_str("all logon sessions at Enterprise Manager are in use"),
            Kind::DeadlinePassed => f.write_str("the gateway was delayed for too long to send the request"),
            Kind::Refused { status, message } => {
                write!(f, "Enterprise Manager refused the request with status {status}")?;
                quoted(f, message)
            }
            Kind::Failed { status, message } => {
                write!(f, "Enterprise Manager failed with status {status}")?;
                quoted(f, message)
            }
            Kind::InvalidResponse { reason } => {
                write!(f, "Enterprise Manager's answer cannot be used: {reason}")
            }
            Kind::TooLarge { limit } => {
                write!(f, "Enterprise Manager's answer is larger than {limit} bytes")
            }
            Kind::CircuitOpen { .. } => f.write_str("Enterprise Manager has not answered for a while"),
            Kind::ShuttingDown => f.write_str("the gateway stops"),
            Kind::NotEncodable { reason } => write!(f, "the request cannot be written for EM: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

/// The room could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The certificates to be trusted cannot be used.
    #[error("the certificates to trust cannot be used: {0}")]
    Certificates(String),
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be built")]
    Client(#[source] reqwest::Error),
    /// No account is configured.
    #[error("no account is configured")]
    NoAccount,
}

/// Longest text of EM's that is quoted to callers or kept with an operation, in bytes.
const LONGEST_QUOTE: usize = 1000;

/// Cuts a text of EM's to what is quoted.
pub(super) fn shorten(text: &mut String) {
    if text.len() > LONGEST_QUOTE {
        let mut end = LONGEST_QUOTE;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(status: u16) -> Kind {
        Kind::Failed {
            status,
            message: None,
        }
    }

    #[test]
    fn what_happened_before_sending_never_counts_as_acted() {
        for kind in [
            Kind::TimedOut,
            failed(500),
            Kind::ConnectionLost {
                reason: String::new(),
            },
        ] {
            assert_eq!(Error::before_sending(kind).acted(), Acted::No);
        }
    }

    #[test]
    fn what_em_refused_of_a_preparation_is_not_what_the_caller_asked_for() {
        let refused = Error::after_sending(Kind::Refused {
            status: 404,
            message: None,
        });
        assert!(refused.is_not_found());
        let before_main_request = refused.before_main_request();
        assert!(!before_main_request.is_not_found());
        assert_eq!(
            (before_main_request.status(), before_main_request.whose()),
            (Some(404), Whose::Upstream)
        );
    }

    #[test]
    fn after_sending_only_a_4xx_other_than_408_is_a_certain_refusal() {
        for status in [400, 401, 403, 404, 405, 409, 415, 429, 499] {
            assert_eq!(
                Error::after_sending(failed(status)).acted(),
                Acted::No,
                "{status}"
            );
        }
        for status in [200, 302, 408, 500, 502, 503, 504] {
            assert_eq!(
                Error::after_sending(failed(status)).acted(),
                Acted::Maybe,
                "{status}"
            );
        }
        let busy = |status| {
            Error::after_sending(Kind::Overloaded {
                status,
                message: None,
                retry_after: None,
            })
        };
        assert_eq!(busy(429).acted(), Acted::No);
        assert_eq!(busy(503).acted(), Acted::Maybe);
        assert_eq!(Error::after_sending(Kind::TimedOut).acted(), Acted::Maybe);
        assert_eq!(
            Error::after_sending(Kind::TooLarge { limit: 1 }).acted(),
            Acted::Maybe
        );
        let refused_connection = Kind::Unreachable {
            reason: "refused".to_owned(),
        };
        assert_eq!(Error::after_sending(refused_connection).acted(), Acted::No);
    }
}
