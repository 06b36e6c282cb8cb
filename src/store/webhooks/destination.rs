//! Where a delivery goes: address, secret and headers, opened from their sealed columns.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use super::super::Error;
use super::super::row::Columns as _;
use super::super::seal::Sealer;
use super::{connections, formats, opened, purpose};
use crate::domain::webhook::Format;
use crate::domain::webhook::connection::Connection;
use crate::domain::webhook::endpoint::{Headers, Signer, SigningSecret};
use crate::domain::webhook::options::FormatOptions;
use crate::domain::webhook::signing::{BodySignature, SigningKey};
use crate::domain::webhook::target::TargetUrl;

/// Where a delivery goes and what signs it.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The address.
    pub target: TargetUrl,
    /// The signing secret.
    pub secret: SigningSecret,
    /// The Ed25519 key, where `v1a` is asked for.
    pub key: Option<SigningKey>,
    /// What signed before a rotation, as long as it signs too.
    pub previous: Option<Signer>,
    /// A signature of the body alone.
    pub body_signature: Option<BodySignature>,
    /// What is sent along.
    pub headers: Headers,
    /// How the body looks.
    pub format: Format,
    /// What the format takes beside the address.
    pub options: FormatOptions,
    /// How it is reached.
    pub connection: Connection,
}

impl Destination {
    /// Whether a failover is one message there, which is edited.
    #[must_use]
    pub fn keeps_one_message(&self) -> bool {
        let is_discord = self.format == Format::Discord && self.options.template.is_none();
        self.options.bot.is_some() || is_discord
    }
}

/// What is read of an endpoint's row.
pub(super) const COLUMNS: &str = "url, secret, headers, format, signing_key, signs_v1a, previous_secret, \
     previous_signing_key, body_signature, format_options, connection";

/// The columns of [`COLUMNS`] that hold text.
const TEXTS: &[&str] = &[
    "url",
    "secret",
    "headers",
    "format",
    "signing_key",
    "previous_secret",
    "previous_signing_key",
    "body_signature",
    "format_options",
    "connection",
];

/// An endpoint's row as it is stored: what it becomes changes only when this does.
pub(super) type Stored = (bool, Vec<Option<String>>);

/// What is stored in the columns that are read.
pub(super) fn stored(row: &AnyRow) -> Result<Stored, Error> {
    let texts = TEXTS
        .iter()
        .map(|column| row.opt_text(column))
        .collect::<Result<_, _>>()?;
    Ok((row.flag("signs_v1a")?, texts))
}

/// Where an endpoint's deliveries go, out of a row with url, secret, headers and format.
pub(super) fn of_endpoint(row: &AnyRow, sealer: &Sealer) -> Result<Destination, Error> {
    let url = opened(sealer, purpose::ENDPOINT_URL, &row.text("url")?)?;
    let secret = opened(sealer, purpose::ENDPOINT_SECRET, &row.text("secret")?)?;
    let signs_v1a = row.flag("signs_v1a")?;
    let previous_secret = row
        .opt_text("previous_secret")?
        .map(|sealed| signing(&opened(sealer, purpose::ENDPOINT_PREVIOUS_SECRET, &sealed)?))
        .transpose()?;
    let previous_key = key_from(
        row.opt_text("previous_signing_key")?,
        purpose::ENDPOINT_PREVIOUS_KEY,
        sealer,
    )?;
    Ok(Destination {
        target: target(&url)?,
        secret: signing(&secret)?,
        key: signing_key(row, sealer)?.filter(|_| signs_v1a),
        previous: previous_secret.map(|secret| Signer {
            secret,
            key: previous_key.filter(|_| signs_v1a),
        }),
        // A word of a later program is left out: the standard signature is there all the same.
        body_signature: row
            .opt_text("body_signature")?
            .and_then(|word| BodySignature::parse(&word)),
        headers: headers_from(&row.text("headers")?, sealer)?,
        format: Format::parse(&row.text("format")?).ok_or(Error::Corrupt {
            what: "webhook_endpoints.format",
        })?,
        options: formats::options_from(row, sealer)?,
        connection: connections::from(row, sealer)?,
    })
}

/// Where the callback of an operation goes, out of a row with url and secret.
pub(super) fn of_callback(row: &AnyRow, sealer: &Sealer) -> Result<Destination, Error> {
    let url = opened(sealer, purpose::CALLBACK_URL, &row.text("url")?)?;
    let secret = opened(sealer, purpose::CALLBACK_SECRET, &row.text("secret")?)?;
    Ok(Destination {
        target: target(&url)?,
        secret: signing(&secret)?,
        key: None,
        previous: None,
        body_signature: None,
        headers: Headers::default(),
        format: Format::Standard,
        options: FormatOptions::default(),
        connection: Connection::default(),
    })
}

/// The Ed25519 key of an endpoint, whether it signs or not.
pub(super) fn signing_key(row: &AnyRow, sealer: &Sealer) -> Result<Option<SigningKey>, Error> {
    key_from(row.opt_text("signing_key")?, purpose::ENDPOINT_KEY, sealer)
}

fn key_from(sealed: Option<String>, purpose: &str, sealer: &Sealer) -> Result<Option<SigningKey>, Error> {
    let what = "webhook_endpoints.signing_key";
    let Some(sealed) = sealed else { return Ok(None) };
    let text = opened(sealer, purpose, &sealed)?;
    SigningKey::parse(&text).map(Some).ok_or(Error::Corrupt { what })
}

fn headers_from(sealed: &str, sealer: &Sealer) -> Result<Headers, Error> {
    let what = "webhook_endpoints.headers";
    let text = opened(sealer, purpose::ENDPOINT_HEADERS, sealed)?;
    let values: BTreeMap<String, String> =
        serde_json::from_str(&text).map_err(|_| Error::Corrupt { what })?;
    let mut headers = Headers::default();
    for (name, value) in values {
        headers.set(&name, &value).map_err(|_| Error::Corrupt { what })?;
    }
    Ok(headers)
}

fn target(url: &str) -> Result<TargetUrl, Error> {
    TargetUrl::stored(url).ok_or(Error::Corrupt {
        what: "the URL of a webhook",
    })
}

fn signing(secret: &str) -> Result<SigningSecret, Error> {
    SigningSecret::parse(secret).map_err(|_| Error::Corrupt {
        what: "the secret of a webhook",
    })
}
