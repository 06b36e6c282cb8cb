//! Formats: how an event looks to its receiver, and what the receiver's answer means.
//!
//! One file per format with its row, and [`FORMATS`], the table of all: an endpoint can have a format as soon as its row is
//! there. A chat format draws a [`message::Message`] at the first detail that the service takes (`drawing`), with names
//! escaped (`text`); `template` renders an owner's own text instead. Formats neither send nor wait, and know neither
//! retries nor health. Tests: in each file, `property_tests`, and over sockets in `tests/it/delivery/formats.rs`.

mod cloudevents;
mod discord;
#[cfg(test)]
mod documentation_tests;
mod drawing;
mod googlechat;
mod mattermost;
mod message;
mod pagerduty;
mod pages;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod samples;
mod servicenow;
mod shape;
mod slack;
#[cfg(test)]
mod snapshot_tests;
pub mod standard;
mod teams;
mod template;
mod text;
pub(super) mod verdict;

use jiff::Timestamp;

use self::message::Message;
use self::shape::Shape;
use self::text::Dialect;
use self::verdict::{Verdict, by_status};
use super::answer::Answer;
use crate::domain::event::EventType;
use crate::domain::field_error::FieldError;
use crate::domain::links::Links;
use crate::domain::webhook::Format;
use crate::domain::webhook::endpoint::Settings;
use crate::domain::webhook::options::FormatOptions;
use crate::domain::webhook::target::TargetUrl;

/// Every format that can be sent.
static FORMATS: &[Row] = &[
    standard::ROW,
    cloudevents::ROW,
    slack::ROW,
    teams::ROW,
    mattermost::ROW,
    discord::ROW,
    googlechat::ROW,
    pagerduty::ROW,
    servicenow::ROW,
];

/// One way to write an event.
pub(super) struct Row {
    /// The format.
    format: Format,
    /// The content type of its bodies.
    content_type: &'static str,
    /// How the service reads text.
    dialect: Dialect,
    /// How many deliveries a second the service takes; none when that is the receiver's own affair.
    per_second: Option<u32>,
    /// Parameters that an address gets unless it has them.
    query: &'static [(&'static str, &'static str)],
    /// Whether it is signed as Standard Webhooks 1.0 says. Where the address is the credential it is not.
    pub(super) signed: bool,
    /// Whether the body of the first attempt is kept for the next ones, since another version would draw it otherwise.
    pub(super) kept: bool,
    /// What its addresses look like.
    shape: Shape,
    /// The body; none when the gateway itself fails at it.
    body: fn(&Outgoing<'_>) -> Option<String>,
    /// What the receiver's answer means.
    pub(super) verdict: fn(&Answer, Timestamp) -> Verdict,
}

impl Row {
    /// What chat formats have in common.
    const CHAT: Self = Self {
        format: Format::Slack,
        content_type: "application/json",
        dialect: Dialect::Plain,
        per_second: Some(1),
        query: &[],
        signed: false,
        kept: true,
        shape: Shape::ANY,
        body: |_| None,
        verdict: by_status,
    };

    /// Whether what is sent to an endpoint with these options is kept for the next attempts.
    pub(super) const fn keeps(&self, options: &FormatOptions) -> bool {
        self.kept || options.template.is_some()
    }

    /// The address that is dialled.
    pub(super) fn address(&self, target: &TargetUrl) -> TargetUrl {
        let with = |target: TargetUrl, (name, value): &(&str, &str)| target.with_parameter(name, value);
        self.query.iter().fold(target.clone(), with)
    }
}

/// An event on its way to one receiver.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    /// The event's id, the same on every attempt.
    pub(super) id: &'a str,
    /// Its type.
    pub(super) kind: EventType,
    /// The event's stored body.
    pub(super) body: &'a str,
    /// What the format takes beside the address.
    pub(super) options: &'a FormatOptions,
    /// Where links begin.
    pub(super) links: &'a Links,
}

impl Outgoing<'_> {
    fn message(&self) -> Message {
        Message::of(self.kind, self.id, self.body, self.links)
    }
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Its content type.
    pub content_type: String,
    /// The body.
    pub body: String,
    /// What its owner should know of it.
    pub warning: Option<String>,
}

/// The event as it is sent. A template that fails is replaced by the format's own body, with a warning. `None` when the
/// gateway itself fails at it.
pub(super) fn render(row: &Row, event: &Outgoing<'_>) -> Option<Rendered> {
    let mut warning = None;
    if let Some(text) = &event.options.template {
        let content_type = event.options.content_type.as_deref().unwrap_or(row.content_type);
        match template::render(text, row.dialect, content_type, event) {
            Ok(body) => {
                return Some(Rendered {
                    content_type: content_type.to_owned(),
                    body,
                    warning,
                });
            }
            Err(failure) => {
                warning = Some(format!(
                    "the template failed, the built-in message was sent: {failure}"
                ));
            }
        }
    }
    Some(Rendered {
        content_type: row.content_type.to_owned(),
        body: (row.body)(event)?,
        warning,
    })
}

/// What a bot writes of an event.
pub(super) struct BotMessage {
    /// The message as the format draws it.
    pub(super) body: serde_json::Value,
    /// The failover whose message it belongs to.
    pub(super) session: Option<String>,
    /// Whether it is bad news.
    pub(super) is_bad: bool,
}

/// The message of an event, for a bot; `None` when the gateway itself fails at it.
pub(super) fn bot_message(row: &Row, event: &Outgoing<'_>) -> Option<BotMessage> {
    let message = event.message();
    Some(BotMessage {
        body: serde_json::from_str(&(row.body)(event)?).ok()?,
        session: message.session,
        is_bad: matches!(message.tone, message::Tone::Bad | message::Tone::Warning),
    })
}

/// An event as it would be sent to an endpoint, credentials masked.
///
/// # Errors
/// What is wrong with the template; `None` inside when the gateway itself fails.
pub fn preview(
    format: Format,
    options: &FormatOptions,
    links: &Links,
    (id, kind, body): (&str, EventType, &str),
) -> Result<Option<Rendered>, String> {
    let Some(row) = of(format) else { return Ok(None) };
    let mut shown = options.clone();
    if options.routing_key.is_some() || format == Format::PagerDuty {
        shown.routing_key = Some(crate::domain::webhook::target::MASK.into());
    }
    let event = Outgoing {
        id,
        kind,
        body,
        options: &shown,
        links,
    };
    if let Some(text) = &shown.template {
        let content_type = shown.content_type.as_deref().unwrap_or(row.content_type);
        template::render(text, row.dialect, content_type, &event).map_err(|failure| failure.to_string())?;
    }
    Ok(render(row, &event))
}

/// What is odd about an endpoint, although it may be right: each with its pointer. `secret` is the member by which a caller has
/// just given a secret.
#[must_use]
pub fn warnings(settings: &Settings, target: &TargetUrl, secret: Option<&'static str>) -> Vec<FieldError> {
    let (format, options) = (settings.format, &settings.options);
    let address = address_warning(format, options.bot.is_some(), target);
    let mut found: Vec<FieldError> = address
        .map(|detail| FieldError::new("/url", detail))
        .into_iter()
        .collect();
    if options
        .routing_key()
        .is_some_and(|key| key.len() != 32 || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    {
        let detail = "this does not look like a routing key of PagerDuty, which has 32 letters and digits";
        found.push(FieldError::new("/routingKey", detail));
    }
    if of(format).is_some_and(|row| !row.signed) {
        let unused = [
            settings.signs_v1a.then_some("/signatures"),
            settings.body_signature.map(|_| "/bodySignature"),
            secret,
        ];
        let detail = format!(
            "changes nothing: deliveries of the format {} are not signed, since their service verifies nothing",
            format.as_str()
        );
        let unused = unused.into_iter().flatten();
        found.extend(unused.map(|pointer| FieldError::new(pointer, detail.clone())));
    }
    found
}

fn address_warning(format: Format, bot: bool, target: &TargetUrl) -> Option<String> {
    match (format, bot) {
        (Format::Slack, true) => slack::API.warning(target),
        (_, true) => None,
        (_, false) if of(format)?.shape.is_any() => meant_for(target),
        (_, false) => of(format)?.shape.warning(target),
    }
}

/// An address of a chat service whose format was not asked for: the service would refuse the bodies, and the address, which
/// is a credential there, is not masked.
fn meant_for(target: &TargetUrl) -> Option<String> {
    let row = FORMATS.iter().find(|row| row.shape.fits(target))?;
    let (service, format) = (row.shape.service, row.format.as_str());
    Some(format!(
        "this looks like an address of {service}, which takes the format {format}"
    ))
}

/// The formats that can be sent.
pub fn supported() -> impl Iterator<Item = Format> {
    FORMATS.iter().map(|row| row.format)
}

/// How many deliveries a second an endpoint of this format takes, unless its owner says otherwise.
#[must_use]
pub fn default_rate(format: Format) -> Option<u32> {
    of(format)?.per_second
}

/// How that format is written; `None` when this program cannot send it.
pub(super) fn of(format: Format) -> Option<&'static Row> {
    FORMATS.iter().find(|row| row.format == format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_row() {
        let known: Vec<Format> = supported().collect();
        assert_eq!(known, Format::ALL);
    }

    #[test]
    fn what_signs_is_a_warning_where_nothing_is_signed() {
        let target = TargetUrl::parse("https://hooks.slack.com/services/T0/B0/x", false).expect("a URL");
        let signing = |format| Settings {
            format,
            signs_v1a: true,
            body_signature: Some(crate::domain::webhook::signing::BodySignature::Github),
            ..Settings::default()
        };
        let found = warnings(&signing(Format::Slack), &target, Some("/secretText"));
        let pointers: Vec<&str> = found.iter().map(|odd| odd.pointer.as_str()).collect();
        assert_eq!(pointers, ["/signatures", "/bodySignature", "/secretText"]);
        let plain = Settings {
            format: Format::Slack,
            ..Settings::default()
        };
        assert_eq!(warnings(&plain, &target, None), []);
        let portal = TargetUrl::parse("https://portal.example/hook", false).expect("a URL");
        assert_eq!(warnings(&signing(Format::Standard), &portal, Some("/secret")), []);
    }

    #[test]
    fn an_address_gets_the_parameters_that_its_service_needs() {
        let of_discord = of(Format::Discord).expect("a row");
        for (url, dialled) in [
            ("https://d.example/a", "https://d.example/a?wait=true"),
            (
                "https://d.example/a?wait=false&thread_id=1",
                "https://d.example/a?wait=false&thread_id=1",
            ),
        ] {
            let target = TargetUrl::parse(url, false).expect("a URL");
            assert_eq!(of_discord.address(&target).url().as_str(), dialled);
        }
    }
}
