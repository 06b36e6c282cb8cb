//! How much of a message is drawn, and the fit: every chat format draws a message at some detail, and the first detail
//! that the service takes is sent.
//!
//! What goes first is fixed: machines that succeeded, then failed ones beyond 20, then the reasons. Title, facts and links
//! always stay.

use serde_json::Value;

use super::message::Message;
use super::text::clean;

/// How much of a message is shown.
#[derive(Debug, Clone, Copy)]
struct Detail {
    /// How many machines that succeeded are named.
    good: usize,
    /// How many failed machines are named.
    failed: usize,
    /// How long a reason may be, in UTF-16 units.
    reason: usize,
}

const fn detail(good: usize, failed: usize, reason: usize) -> Detail {
    Detail { good, failed, reason }
}

/// From all that a person reads to the least.
const DETAILS: &[Detail] = &[
    detail(30, 40, 400),
    detail(0, 40, 400),
    detail(0, 20, 400),
    detail(0, 20, 200),
    detail(0, 20, 80),
    detail(0, 20, 20),
    detail(0, 10, 20),
    detail(0, 5, 20),
    detail(0, 0, 0),
];

/// What a service counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Budget {
    /// Bytes of the whole body.
    Bytes(usize),
    /// UTF-16 units of the whole body.
    Units(usize),
}

impl Budget {
    fn holds(self, body: &str) -> bool {
        match self {
            Self::Bytes(most) => body.len() <= most,
            Self::Units(most) => body.encode_utf16().count() <= most,
        }
    }
}

/// A message at one detail: what a format draws.
#[derive(Debug)]
pub(super) struct Drawn<'a> {
    /// The message; of its machines and its reason only what follows is shown.
    pub(super) message: &'a Message,
    /// Why it failed.
    pub(super) reason: Option<String>,
    /// Failed machines with their reasons.
    pub(super) failed: Vec<(&'a str, Option<String>)>,
    /// What is left out, and what succeeded, in a line each.
    pub(super) notes: Vec<String>,
}

impl<'a> Drawn<'a> {
    fn at(message: &'a Message, detail: Detail) -> Self {
        let cut = |text: &Option<String>| {
            text.as_deref()
                .filter(|_| detail.reason > 0)
                .map(|text| clean(text, detail.reason))
        };
        let failed: Vec<_> = message
            .failed
            .iter()
            .take(detail.failed)
            .map(|machine| (machine.name.as_str(), cut(&machine.reason)))
            .collect();
        let mut notes = Vec::new();
        let more = message.failed.len() - failed.len();
        if more > 0 {
            let word = if failed.is_empty() {
                "failed"
            } else {
                "more failed"
            };
            notes.push(format!("{more} {word}"));
        }
        let good = message.good.len();
        if good > 0 && good <= detail.good {
            notes.push(format!("Succeeded: {}", message.good.join(", ")));
        } else if good > 0 {
            notes.push(format!("{good} succeeded"));
        }
        Self {
            message,
            reason: cut(&message.reason),
            failed,
            notes,
        }
    }

    /// The title with its sign.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.message.tone.sign(), self.message.title)
    }
}

/// The body at the first detail that the budget holds.
pub(super) fn fitted(message: &Message, budget: Budget, draw: impl Fn(&Drawn<'_>) -> Value) -> String {
    let mut body = String::new();
    for detail in DETAILS {
        body = draw(&Drawn::at(message, *detail)).to_string();
        if budget.holds(&body) {
            break;
        }
    }
    body
}
