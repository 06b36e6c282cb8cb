//! What an endpoint may look like: its settings, their limits, its headers and its secret.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

use super::connection::Connection;
use super::options::FormatOptions;
use super::signing::{BodySignature, SIGNATURES, SigningKey};
use super::target::MASK;
use super::{Filter, Format};
use crate::domain::event::EventType;
use crate::domain::field_error::FieldError;
use crate::domain::id::EmId;

/// How many endpoints there may be of owners with the same confinement: an event is compared with all that may get it.
pub const ENDPOINTS_LIMIT: usize = 500;
/// The most deliveries that one endpoint may have under way at once.
pub const CONCURRENCY_LIMIT: u32 = 32;
/// How many deliveries an endpoint has under way at once unless it says otherwise.
pub const CONCURRENCY_DEFAULT: u32 = 4;
/// The longest description, in characters.
pub const DESCRIPTION_LIMIT: usize = 500;
/// The most values in each list of a filter.
pub const FILTER_LIMIT: usize = 200;
/// The most custom headers.
pub const HEADERS_LIMIT: usize = 20;
/// The longest value of a custom header, in bytes.
pub const HEADER_VALUE_LIMIT: usize = 4096;

/// Results that an event can carry and a filter can name.
pub const RESULTS: &[&str] = &["success", "warning", "failed", "cancelled"];

/// What an endpoint's owner decides, beside the address and the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The owner's description.
    pub description: Option<String>,
    /// The types wanted; none means every type that is not opt-in.
    pub event_types: Option<Vec<EventType>>,
    /// Which of these events to receive.
    pub filter: Filter,
    /// The format of the bodies.
    pub format: Format,
    /// Whether deliveries go out.
    pub enabled: bool,
    /// What is sent along.
    pub headers: Headers,
    /// How many deliveries may be in flight at once.
    pub max_concurrency: u32,
    /// Whether an Ed25519 signature (`v1a`) stands beside the first.
    pub signs_v1a: bool,
    /// A signature of the body alone, beside the standard's.
    pub body_signature: Option<BodySignature>,
    /// What the format takes beside the URL.
    pub options: FormatOptions,
    /// How many deliveries a second; none for the format's own rate.
    pub rate: Option<u32>,
    /// How the receiver is reached.
    pub connection: Connection,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            description: None,
            event_types: None,
            filter: Filter::default(),
            format: Format::Standard,
            enabled: true,
            headers: Headers::default(),
            max_concurrency: CONCURRENCY_DEFAULT,
            signs_v1a: false,
            body_signature: None,
            options: FormatOptions::default(),
            rate: None,
            connection: Connection::default(),
        }
    }
}

impl Settings {
    /// The types wanted, spelled out.
    #[must_use]
    pub fn effective_types(&self) -> Vec<EventType> {
        match &self.event_types {
            Some(types) => types.clone(),
            None => EventType::ALL
                .iter()
                .copied()
                .filter(|kind| !kind.opt_in())
                .collect(),
        }
    }
}

/// Headers that are sent along with every delivery. Values may be credentials, so `Debug` shows names only.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(BTreeMap<String, (String, String)>);

/// Parts of names that tell that a header's value is a credential.
const CREDENTIALS: &[&str] = &[
    "auth",
    "token",
    "secret",
    "key",
    "password",
    "cookie",
    "signature",
    "session",
];

/// Names that a custom header may not have: those that HTTP or the delivery itself sets, those that a proxy believes,
/// and those that metadata services ask for. A trailing `*` matches any rest.
pub const RESERVED: &[&str] = &[
    "accept-encoding",
    "ce-*",
    "connection",
    "content-*",
    "date",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "metadata*",
    "proxy-*",
    "sec-*",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "webhook-*",
    "x-aws-ec2-metadata-*",
    "x-forwarded-*",
    "x-real-ip",
];

impl Headers {
    /// Sets a header; names are the same in any letter case.
    ///
    /// # Errors
    /// What is wrong with the name or the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        check_name(name)?;
        let key = name.to_ascii_lowercase();
        let reserved = RESERVED.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => key == *pattern,
        });
        if reserved {
            return Err("this header is set by the gateway or must not be sent");
        }
        if value.len() > HEADER_VALUE_LIMIT {
            return Err("a header's value has at most 4096 bytes");
        }
        let plain = value
            .bytes()
            .all(|byte| (0x20..0x7f).contains(&byte) || byte == b'\t');
        if !plain || value.trim() != value {
            return Err("a header's value is visible ASCII without spaces at its ends");
        }
        self.0.insert(key, (name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// Removes a header, if it is there.
    ///
    /// # Errors
    /// What is wrong with the name, which no header can have.
    pub fn remove(&mut self, name: &str) -> Result<(), &'static str> {
        check_name(name)?;
        self.0.remove(&name.to_ascii_lowercase());
        Ok(())
    }

    /// The value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(&name.to_ascii_lowercase())
            .map(|(_, value)| value.as_str())
    }

    /// Names as they were given, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .values()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values as they are shown: credentials masked.
    pub fn shown(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, (name, value))| {
            let secret = CREDENTIALS.iter().any(|part| key.contains(part));
            (name.as_str(), if secret { MASK } else { value.as_str() })
        })
    }
}

/// A header's name is a token of 1 to 100 characters.
fn check_name(name: &str) -> Result<(), &'static str> {
    let token = |letter: u8| letter.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&letter);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(token) {
        return Err("a header's name has 1 to 100 letters, digits or -_.!#$%&'*+^`|~");
    }
    Ok(())
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A signing secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone)]
pub struct SigningSecret(SecretString);

impl SigningSecret {
    /// Reads a secret as it is written.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let secret = Self(SecretString::from(text.to_owned()));
        match secret.key() {
            Some(key) if (24..=64).contains(&key.len()) => Ok(secret),
            _ => Err("a secret is whsec_ followed by 24 to 64 bytes in base64"),
        }
    }

    /// The secret whose key is the bytes of a text, for receivers that cannot decode base64.
    ///
    /// # Errors
    /// What is allowed.
    pub fn from_printable(text: &str) -> Result<Self, &'static str> {
        let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if printable && (24..=64).contains(&text.len()) {
            Ok(Self(SecretString::from(format!(
                "whsec_{}",
                STANDARD.encode(text)
            ))))
        } else {
            Err("a secret as text is 24 to 64 printable ASCII characters")
        }
    }

    /// The secret whose key is these random bytes.
    #[must_use]
    pub fn from_key(key: &[u8; 32]) -> Self {
        Self(SecretString::from(format!("whsec_{}", STANDARD.encode(key))))
    }

    /// The key's bytes.
    #[must_use]
    pub fn key(&self) -> Option<Vec<u8>> {
        let encoded = self.0.expose_secret().strip_prefix("whsec_")?;
        STANDARD.decode(encoded).ok()
    }

    /// As it is written.
    #[must_use]
    pub const fn text(&self) -> &SecretString {
        &self.0
    }
}

/// Whether both make the same signatures. Not in constant time: both sides are the gateway's own.
impl PartialEq for SigningSecret {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for SigningSecret {}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_***")
    }
}

/// A secret, and the key that goes with it where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The secret of `v1`.
    pub secret: SigningSecret,
    /// The key of `v1a`.
    pub key: Option<SigningKey>,
}

/// Reads event types; each that is unknown is a fault of its own.
pub fn event_types(words: &[String], pointer: &str, faults: &mut Vec<FieldError>) -> Vec<EventType> {
    if words.is_empty() {
        faults.push(FieldError::new(
            pointer,
            "name at least one event type, or leave the field out for all that are not opt-in",
        ));
    }
    let mut types = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match EventType::parse(word) {
            Some(kind) if !types.contains(&kind) => types.push(kind),
            Some(_) => {}
            None => faults.push(FieldError::new(
                format!("{pointer}/{at}"),
                "this event type is unknown; GET /event-types lists them",
            )),
        }
    }
    types
}

/// Reads the ids of plans.
pub fn plan_ids(texts: &[String], pointer: &str, faults: &mut Vec<FieldError>) -> Vec<EmId> {
    within(texts.len(), FILTER_LIMIT, pointer, faults);
    let mut ids: Vec<EmId> = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        match text.parse::<EmId>() {
            Ok(id) if !ids.contains(&id) => ids.push(id),
            Ok(_) => {}
            Err(_) => faults.push(FieldError::new(
                format!("{pointer}/{at}"),
                "this is not the id of a plan",
            )),
        }
    }
    ids
}

/// Reads tenants: ids or exact names.
pub fn tenants(texts: &[String], pointer: &str, faults: &mut Vec<FieldError>) -> Vec<String> {
    within(texts.len(), FILTER_LIMIT, pointer, faults);
    for (at, text) in texts.iter().enumerate() {
        if text.is_empty() || text.chars().count() > 256 {
            faults.push(FieldError::new(
                format!("{pointer}/{at}"),
                "a tenant is named by its id or by its exact name",
            ));
        }
    }
    texts.to_vec()
}

/// Reads results.
pub fn results(words: &[String], pointer: &str, faults: &mut Vec<FieldError>) -> Vec<String> {
    within(words.len(), FILTER_LIMIT, pointer, faults);
    for (at, word) in words.iter().enumerate() {
        if !RESULTS.contains(&word.as_str()) {
            let detail = format!("a result is one of: {}", RESULTS.join(", "));
            faults.push(FieldError::new(format!("{pointer}/{at}"), detail));
        }
    }
    words.to_vec()
}

/// Reads a format; one that is not among those `supported` is refused in words of its own.
pub fn format(
    word: &str,
    mut supported: impl Iterator<Item = Format>,
    pointer: &str,
    faults: &mut Vec<FieldError>,
) -> Format {
    match Format::parse(word) {
        Some(format) if supported.any(|known| known == format) => return format,
        Some(_) => faults.push(FieldError::new(
            pointer,
            "this format is not supported yet; use standard",
        )),
        None => {
            let words: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
            faults.push(FieldError::new(
                pointer,
                format!("a format is one of: {}", words.join(", ")),
            ));
        }
    }
    Format::Standard
}

/// Reads a description.
pub fn description(text: &str, pointer: &str, faults: &mut Vec<FieldError>) -> String {
    if text.chars().count() > DESCRIPTION_LIMIT {
        faults.push(FieldError::new(
            pointer,
            "a description has at most 500 characters",
        ));
    }
    text.to_owned()
}

/// Reads a limit on deliveries under way.
pub fn max_concurrency(number: i128, pointer: &str, faults: &mut Vec<FieldError>) -> u32 {
    match u32::try_from(number) {
        Ok(number) if (1..=CONCURRENCY_LIMIT).contains(&number) => number,
        _ => {
            faults.push(FieldError::new(
                pointer,
                format!("between 1 and {CONCURRENCY_LIMIT} deliveries may be in flight at once"),
            ));
            CONCURRENCY_DEFAULT
        }
    }
}

/// Reads the signatures wanted; whether `v1a` is among them.
pub fn signatures(words: &[String], pointer: &str, faults: &mut Vec<FieldError>) -> bool {
    let known = |word: &String| SIGNATURES.contains(&word.as_str());
    let distinct = words.iter().collect::<std::collections::BTreeSet<_>>().len() == words.len();
    if !words.iter().all(known) || !distinct || !words.iter().any(|word| word == "v1") {
        faults.push(FieldError::new(
            pointer,
            r#"signatures are ["v1"] or ["v1", "v1a"]"#,
        ));
    }
    words.iter().any(|word| word == "v1a")
}

/// Reads the signature of the body alone.
pub fn body_signature(word: &str, pointer: &str, faults: &mut Vec<FieldError>) -> Option<BodySignature> {
    let known = BodySignature::parse(word);
    if known.is_none() {
        faults.push(FieldError::new(pointer, "a body signature is: github"));
    }
    known
}

fn within(count: usize, limit: usize, pointer: &str, faults: &mut Vec<FieldError>) {
    if count > limit {
        faults.push(FieldError::new(
            pointer,
            format!("at most {limit} values are accepted"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_would_break_or_forge_a_request_are_refused() {
        for name in [
            "Host",
            "connection",
            "Transfer-Encoding",
            "content-length",
            "Content-Type",
            "webhook-id",
            "Webhook-Anything",
            "ce-id",
            "user-agent",
            "traceparent",
            "Proxy-Authorization",
            "Sec-Fetch-Site",
            "X-aws-ec2-metadata-token",
            "Metadata-Flavor",
            "metadata",
            "X-Forwarded-For",
            "upgrade",
            "te",
            "",
            "a b",
            "a:b",
            "naïve",
            "x\r\ny",
        ] {
            assert!(Headers::default().set(name, "value").is_err(), "{name}");
        }
        for value in ["a\r\nb: c", "a\nb", "a\0b", " a", "a ", "ä", &"a".repeat(5000)] {
            assert!(Headers::default().set("x-a", value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_header_name_has_one_value_in_any_letter_case() {
        let mut headers = Headers::default();
        headers.set("X-Env", "lab").expect("accepted");
        headers.set("x-env", "prod").expect("accepted");
        headers.set("Authorization", "Bearer abc").expect("accepted");
        assert_eq!(headers.get("X-ENV"), Some("prod"));
        let shown: Vec<_> = headers.shown().collect();
        assert_eq!(shown, [("Authorization", "***"), ("x-env", "prod")]);
        assert!(!format!("{headers:?}").contains("abc"));
    }

    #[test]
    fn secrets_have_24_to_64_bytes() {
        let of = |length: usize| format!("whsec_{}", STANDARD.encode(vec![1u8; length]));
        for length in [24, 32, 64] {
            assert!(SigningSecret::parse(&of(length)).is_ok(), "{length}");
        }
        for text in [
            of(23),
            of(65),
            of(0),
            "whsec_???".into(),
            STANDARD.encode([1u8; 32]),
            String::new(),
        ] {
            assert!(SigningSecret::parse(&text).is_err(), "{text}");
        }
        assert_eq!(SigningSecret::from_key(&[7; 32]).key(), Some(vec![7; 32]));
        assert_eq!(format!("{:?}", SigningSecret::from_key(&[7; 32])), "whsec_***");
    }

    #[test]
    fn every_fault_is_reported_with_its_place() {
        let mut faults = Vec::new();
        event_types(
            &["failover.session.finished".into(), "nonsense".into()],
            "/eventTypes",
            &mut faults,
        );
        event_types(&[], "/eventTypes", &mut faults);
        plan_ids(&["x".into()], "/filter/planIds", &mut faults);
        tenants(&[String::new()], "/filter/tenants", &mut faults);
        results(&["Failed".into()], "/filter/results", &mut faults);
        format("slack", [Format::Standard].into_iter(), "/format", &mut faults);
        format("smoke", [Format::Standard].into_iter(), "/format", &mut faults);
        max_concurrency(0, "/maxConcurrency", &mut faults);
        description(&"x".repeat(501), "/description", &mut faults);
        let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            [
                "/eventTypes/1",
                "/eventTypes",
                "/filter/planIds/0",
                "/filter/tenants/0",
                "/filter/results/0",
                "/format",
                "/format",
                "/maxConcurrency",
                "/description"
            ]
        );
    }
}
