//! A legal hold: a report is kept beyond its age.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who holds a report, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    pub reason: String,
    /// Who.
    pub by: Option<String>,
    /// Since when.
    pub at: Timestamp,
}
