//! How much of a message is drawn, and the fit: every chat format draws a message at some detail, and the first detail
//! that the service takes is sent.
//!
//! What goes first is fixed: machines that succeeded, then failed ones beyond 20, then the reasons. Title, facts and links
//! always stay. Every service shows the parts in one order: title, facts, reason, failed machines, notes, who asked, links.

use serde_json::Value;

use super::message::Message;
use super::text::{Dialect, clean};

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

/// Facts about the request, which come behind what failed.
const OF_REQUEST: [&str; 2] = ["Asked by", "Purpose"];

/// Label and value.
pub(super) type Fact<'a> = (&'static str, &'a str);

/// A message at one detail: what a format draws.
#[derive(Debug)]
pub(super) struct Drawn<'a> {
    /// The message; of its facts, its machines and its reason only what follows is shown.
    pub(super) message: &'a Message,
    /// What the title does not say already.
    pub(super) facts: Vec<Fact<'a>>,
    /// Who asked for it, and why.
    pub(super) request: Vec<Fact<'a>>,
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
        // A small screen has no room to say twice what the title says, or the one machine.
        let title = message.title.as_str();
        let (request, facts) = message
            .facts
            .iter()
            .map(|(label, value)| (*label, value.as_str()))
            .filter(|(label, value)| match *label {
                "Plan" => !title.contains(value),
                "Tenant" => !title.contains(&format!("({value})")),
                _ => true,
            })
            .partition(|(label, _)| OF_REQUEST.contains(label));
        let is_of_machine =
            matches!(message.failed.as_slice(), [only] if failed.len() == 1 && only.reason == message.reason);
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
            facts,
            request,
            reason: cut(&message.reason).filter(|_| !is_of_machine),
            failed,
            notes,
        }
    }

    /// The title with its sign.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.message.tone.sign(), self.message.title)
    }

    /// What stands between title and links, a paragraph for each part that there is, for services that read Markdown.
    pub(super) fn markdown(&self, dialect: Dialect, bullet: &str) -> Vec<String> {
        let line = |(label, value): &Fact<'_>| format!("**{label}:** {}", dialect.escape(value));
        let item = |(name, reason): &(&str, Option<String>)| {
            let reason = reason
                .as_ref()
                .map(|reason| format!(": {}", dialect.escape(reason)));
            format!(
                "{bullet} **{}**{}",
                dialect.escape(name),
                reason.unwrap_or_default()
            )
        };
        let reason = self
            .reason
            .iter()
            .map(|reason| format!("> {}", dialect.escape(reason)));
        let notes = self.notes.iter().map(|note| dialect.escape(note));
        let parts: [Vec<String>; 4] = [
            self.facts.iter().map(line).collect(),
            reason.collect(),
            self.failed.iter().map(item).collect(),
            notes.chain(self.request.iter().map(line)).collect(),
        ];
        parts
            .iter()
            .filter(|lines| !lines.is_empty())
            .map(|lines| lines.join("\n"))
            .collect()
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
