//! A logon session at EM as it is kept beside an operation whose task lives in it.

use secrecy::SecretString;

use super::id::LogonId;

/// What is needed to use a logon session again later: after a restart, or in another replica. The store seals token and
/// path.
pub struct SavedLogon {
    /// The gateway's own name for the session.
    pub id: LogonId,
    /// The account that it belongs to.
    pub account: String,
    /// EM's token.
    pub token: SecretString,
    /// The path below `/api/` by which it is closed.
    pub path: SecretString,
    /// The version of EM's REST API that it was opened with; none of what an earlier program kept.
    pub version: Option<String>,
}
