//! Where a delivery goes: address, secret and headers, opened from their sealed columns.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use super::super::Error;
use super::super::row::Columns as _;
use super::super::seal::Sealer;
use super::{opened, purpose};
use crate::domain::webhook::Format;
use crate::domain::webhook::endpoint::{Headers, SigningSecret};
use crate::domain::webhook::target::TargetUrl;

/// Where a delivery goes and what signs it.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The address.
    pub target: TargetUrl,
    /// The signing secret.
    pub secret: SigningSecret,
    /// What is sent along.
    pub headers: Headers,
    /// How the body looks.
    pub format: Format,
}

/// The columns of an endpoint that say so.
pub(super) const COLUMNS: &str = "url, secret, headers, format";

/// Where an endpoint's deliveries go, out of a row with url, secret, headers and format.
pub(super) fn of_endpoint(row: &AnyRow, sealer: &Sealer) -> Result<Destination, Error> {
    let url = opened(sealer, purpose::ENDPOINT_URL, &row.text("url")?)?;
    let secret = opened(sealer, purpose::ENDPOINT_SECRET, &row.text("secret")?)?;
    Ok(Destination {
        target: target(&url)?,
        secret: signing(&secret)?,
        headers: headers_from(&row.text("headers")?, sealer)?,
        format: Format::parse(&row.text("format")?).ok_or(Error::Corrupt {
            what: "webhook_endpoints.format",
        })?,
    })
}

/// Where the callback of an operation goes, out of a row with url and secret.
pub(super) fn of_callback(row: &AnyRow, sealer: &Sealer) -> Result<Destination, Error> {
    let url = opened(sealer, purpose::CALLBACK_URL, &row.text("url")?)?;
    let secret = opened(sealer, purpose::CALLBACK_SECRET, &row.text("secret")?)?;
    Ok(Destination {
        target: target(&url)?,
        secret: signing(&secret)?,
        headers: Headers::default(),
        format: Format::Standard,
    })
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
