//! Identifiers: EM's own, kept as EM spells them, and the gateway's, which sort by age.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not an identifier of the kind asked for; a path that holds it names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not an identifier")]
pub struct InvalidId;

/// The id of an EM object: a UUID as EM spells it, compared without regard to letter case
/// (docs/behaviour.md#values). Parsing accepts the URN `urn:veeam:<Type>:<uuid>` as well.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmId(String);

impl EmId {
    /// The id as EM spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id in lower case: equal for equal ids, for keys and columns.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for EmId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bare = if text
            .get(..4)
            .is_some_and(|head| head.eq_ignore_ascii_case("urn:"))
        {
            text.rsplit(':').next().unwrap_or_default()
        } else {
            text
        };
        let hyphenated = bare.len() == 36 && Uuid::try_parse(bare).is_ok();
        if hyphenated {
            Ok(Self(bare.to_owned()))
        } else {
            Err(InvalidId)
        }
    }
}

impl PartialEq for EmId {
    fn eq(&self, other: &Self) -> bool {
        // Nearly always they are the same letters, which is found many times faster.
        self.0 == other.0 || self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for EmId {}

impl Hash for EmId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As long as every id that was parsed; what a document held instead is hashed as well.
        let mut lower = [0; 36];
        match lower.get_mut(..self.0.len()) {
            Some(lower) => {
                lower.copy_from_slice(self.0.as_bytes());
                lower.make_ascii_lowercase();
                state.write(lower);
            }
            None => self.key().hash(state),
        }
    }
}

impl fmt::Display for EmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! gateway_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID version 7 made by the clock.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID behind the id.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let bare = text.strip_prefix($prefix).ok_or(InvalidId)?;
                // Of a UUID's spellings only the one that is written, which is 36 characters long.
                let hyphenated = (bare.len() == 36).then_some(bare).ok_or(InvalidId)?;
                Uuid::try_parse(hyphenated).map(Self).map_err(|_| InvalidId)
            }
        }
    };
}

gateway_id!(
    /// An operation: a bare UUID version 7.
    OperationId,
    ""
);
gateway_id!(
    /// An event, which is also the `webhook-id` of every delivery of it: `evt_<uuidv7>`.
    EventId,
    "evt_"
);
gateway_id!(
    /// A webhook endpoint: `ep_<uuidv7>`.
    EndpointId,
    "ep_"
);
gateway_id!(
    /// A webhook delivery: `dlv_<uuidv7>`.
    DeliveryId,
    "dlv_"
);
gateway_id!(
    /// A job that sends an endpoint's deliveries again: `job_<uuidv7>`.
    JobId,
    "job_"
);

gateway_id!(
    /// A recovery report, all its revisions: a bare UUID version 7.
    ReportId,
    ""
);

gateway_id!(
    /// A finding that somebody recorded: `fnd_<uuidv7>`.
    FindingId,
    "fnd_"
);

/// The id of an EM task, which means something only together with the logon session that made it (`task-1`
/// exists in many).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskId(pub String);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one EM logon session of this gateway without revealing its token: chosen by the gateway at logon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogonId(pub Uuid);

impl fmt::Display for LogonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LogonId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn em_ids_are_equal_bare_as_urn_and_in_any_case() {
        let bare: EmId = "3f56fa52-c902-4655-9774-2022fde214d2".parse().expect("bare");
        let urn: EmId = "urn:veeam:CloudFailoverPlan:3F56FA52-C902-4655-9774-2022FDE214D2"
            .parse()
            .expect("urn");
        assert_eq!(bare, urn);
        assert_eq!(urn.as_str(), "3F56FA52-C902-4655-9774-2022FDE214D2");
    }

    #[test]
    fn what_cannot_be_an_id_is_refused() {
        for text in [
            "",
            "x",
            "../..",
            "3f56fa52c90246559774-2022fde214d2",
            "urn:veeam:",
            "{3f56fa52-c902-4655-9774-2022fde214d2}",
        ] {
            assert_eq!(text.parse::<EmId>(), Err(InvalidId), "{text}");
        }
        assert_eq!("0192".parse::<OperationId>(), Err(InvalidId));
        for text in [
            "0199a5c712ab7cc08a116b0f2f9d4e01",
            "{0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01}",
            "urn:uuid:0199a5c7-12ab-7cc0-8a11-6b0f2f9d4e01",
        ] {
            assert_eq!(text.parse::<OperationId>(), Err(InvalidId), "{text}");
        }
        assert_eq!("evt_0192".parse::<EventId>(), Err(InvalidId));
    }
}
