//! What an endpoint's format takes beside the URL: a template, a routing key, a bot. Values that are credentials have no
//! `Debug` text; which format takes which is one table.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::Format;
use crate::domain::field_error::FieldError;

/// The longest template, in bytes.
pub const TEMPLATE_LIMIT: usize = 32 * 1024;
/// The longest content type, in characters.
pub const CONTENT_TYPE_LIMIT: usize = 200;
/// The longest key, token or channel, in characters.
pub const VALUE_LIMIT: usize = 512;

/// A bot that keeps one message per failover up to date, instead of an incoming webhook.
#[derive(Clone)]
pub struct Bot {
    /// What it logs on with.
    pub token: SecretString,
    /// Where it writes: Slack's channel, or Mattermost's channel id.
    pub channel: String,
}

/// What a format takes beside the URL.
#[derive(Clone, Default)]
pub struct FormatOptions {
    /// A text that yields the body in place of the format's own.
    pub template: Option<String>,
    /// The content type of what the template yields; the format's own when absent.
    pub content_type: Option<String>,
    /// The key of a PagerDuty integration.
    pub routing_key: Option<SecretString>,
    /// The bot.
    pub bot: Option<Bot>,
}

impl PartialEq for Bot {
    fn eq(&self, other: &Self) -> bool {
        self.channel == other.channel && self.token.expose_secret() == other.token.expose_secret()
    }
}

impl Eq for Bot {}

impl PartialEq for FormatOptions {
    fn eq(&self, other: &Self) -> bool {
        self.template == other.template
            && self.content_type == other.content_type
            && self.bot == other.bot
            && self.routing_key() == other.routing_key()
    }
}

impl Eq for FormatOptions {}

impl fmt::Debug for FormatOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormatOptions")
            .field("template", &self.template.is_some())
            .field("content_type", &self.content_type)
            .field("routing_key", &self.routing_key.is_some())
            .field("bot", &self.bot.is_some())
            .finish()
    }
}

impl FormatOptions {
    /// The key of a PagerDuty integration, to be compared or sent.
    #[must_use]
    pub fn routing_key(&self) -> Option<&str> {
        self.routing_key.as_ref().map(ExposeSecret::expose_secret)
    }

    /// Whether there is nothing beside the URL.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Drops what a format does not take; for an endpoint whose format was changed.
    pub fn keep_those_of(&mut self, format: Format) {
        if format != Format::PagerDuty {
            self.routing_key = None;
        }
        // A token belongs to one service, whose format is no longer the endpoint's.
        self.bot = None;
    }
}

/// The member of `bot` that names the channel, for formats that have a bot.
#[must_use]
pub const fn channel_member(format: Format) -> Option<&'static str> {
    match format {
        Format::Slack => Some("channel"),
        Format::Mattermost => Some("channelId"),
        _ => None,
    }
}

/// Checks that what is given belongs to the format, and that what the format needs is there.
pub fn check(format: Format, options: &FormatOptions, faults: &mut Vec<FieldError>) {
    if options.bot.is_some() && channel_member(format).is_none() {
        let detail = match format {
            Format::Discord => "discord needs no bot: its webhook edits its own messages",
            _ => "only the formats slack and mattermost have a bot",
        };
        faults.push(FieldError::new("/bot", detail));
    }
    match (format, &options.routing_key) {
        (Format::PagerDuty, None) => faults.push(FieldError::new(
            "/routingKey",
            "the format pagerduty needs the integration's routing key",
        )),
        (Format::PagerDuty, Some(_)) | (_, None) => {}
        (_, Some(_)) => faults.push(FieldError::new(
            "/routingKey",
            "only the format pagerduty has a routing key",
        )),
    }
    if options.content_type.is_some() && options.template.is_none() {
        faults.push(FieldError::new(
            "/contentType",
            "belongs to a template; without one the format decides",
        ));
    }
    if options.template.is_some() && options.bot.is_some() {
        faults.push(FieldError::new(
            "/template",
            "a bot writes its own messages; give the one or the other",
        ));
    }
}

/// Reads a template's text; whether it renders is checked where events are known.
pub fn template(text: &str, pointer: &str, faults: &mut Vec<FieldError>) -> String {
    if text.is_empty() || text.len() > TEMPLATE_LIMIT {
        faults.push(FieldError::new(
            pointer,
            format!("a template has 1 to {TEMPLATE_LIMIT} bytes"),
        ));
    }
    text.to_owned()
}

/// Reads a content type: `type/subtype` in visible ASCII, parameters allowed.
pub fn content_type(text: &str, pointer: &str, faults: &mut Vec<FieldError>) -> String {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let named = essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    if !plain || !named || text.len() > CONTENT_TYPE_LIMIT {
        faults.push(FieldError::new(
            pointer,
            "a content type looks like application/json or text/plain; charset=utf-8",
        ));
    }
    text.to_owned()
}

/// Reads a key, a token or a channel.
pub fn value(text: &str, pointer: &str, faults: &mut Vec<FieldError>) -> String {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > VALUE_LIMIT || !visible {
        faults.push(FieldError::new(
            pointer,
            format!("1 to {VALUE_LIMIT} visible ASCII characters without spaces"),
        ));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(format: Format, options: &FormatOptions) -> Vec<String> {
        let mut faults = Vec::new();
        check(format, options, &mut faults);
        faults.into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn a_format_takes_its_own_members_only() {
        let bot = FormatOptions {
            bot: Some(Bot {
                token: SecretString::from("xoxb-1"),
                channel: "C1".to_owned(),
            }),
            ..FormatOptions::default()
        };
        let key = FormatOptions {
            routing_key: Some(SecretString::from("k")),
            ..FormatOptions::default()
        };
        assert!(faults_of(Format::Slack, &bot).is_empty());
        assert_eq!(faults_of(Format::Discord, &bot), ["/bot"]);
        assert_eq!(
            faults_of(Format::PagerDuty, &FormatOptions::default()),
            ["/routingKey"]
        );
        assert!(faults_of(Format::PagerDuty, &key).is_empty());
        assert_eq!(faults_of(Format::Slack, &key), ["/routingKey"]);
        let typed = FormatOptions {
            content_type: Some("text/plain".to_owned()),
            ..FormatOptions::default()
        };
        assert_eq!(faults_of(Format::Standard, &typed), ["/contentType"]);
    }

    #[test]
    fn credentials_of_a_format_have_no_debug_text() {
        let options = FormatOptions {
            routing_key: Some(SecretString::from("R0UTING")),
            bot: Some(Bot {
                token: SecretString::from("xoxb-secret"),
                channel: "C1".to_owned(),
            }),
            ..FormatOptions::default()
        };
        let text = format!("{options:?}");
        assert!(!text.contains("R0UTING") && !text.contains("secret"), "{text}");
    }

    #[rstest::rstest]
    #[case("application/json", true)]
    #[case("text/plain; charset=utf-8", true)]
    #[case("json", false)]
    #[case("text/", false)]
    #[case("text/plain\r\nx: y", false)]
    fn a_content_type_is_checked(#[case] text: &str, #[case] accepted: bool) {
        let mut faults = Vec::new();
        content_type(text, "/contentType", &mut faults);
        assert_eq!(faults.is_empty(), accepted, "{text}");
    }
}
