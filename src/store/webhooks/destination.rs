//! Where a delivery goes: address, secret and headers, opened from their sealed columns.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use super::super::row::Columns as _;
use super::super::seal::Sealer;
use super::super::{Error, Tx};
use super::{formats, opened, purpose};
use crate::domain::id::EndpointId;
use crate::domain::webhook::Format;
use crate::domain::webhook::endpoint::{Headers, SigningSecret};
use crate::domain::webhook::options::FormatOptions;
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
    /// What the format takes beside the address.
    pub options: FormatOptions,
}

impl Tx {
    /// Where the deliveries of an endpoint go.
    ///
    /// # Errors
    /// [`Error::Database`], and those of what is sealed.
    pub(super) async fn endpoint_destination(&mut self, id: EndpointId) -> Result<Destination, Error> {
        let row = sqlx::query(
            "select url, secret, headers, format, format_options from webhook_endpoints where id = $1",
        )
        .bind(id.to_string())
        .fetch_one(self.connection())
        .await?;
        of_endpoint(&row, &self.sealer())
    }

    /// Where the callback of an operation goes.
    ///
    /// # Errors
    /// [`Error::Database`], and those of what is sealed.
    pub(super) async fn callback_destination(&mut self, operation: &str) -> Result<Destination, Error> {
        let row = sqlx::query("select url, secret from webhook_callbacks where operation_id = $1")
            .bind(operation)
            .fetch_one(self.connection())
            .await?;
        let sealer = self.sealer();
        let url = opened(&sealer, purpose::CALLBACK_URL, &row.text("url")?)?;
        let secret = opened(&sealer, purpose::CALLBACK_SECRET, &row.text("secret")?)?;
        Ok(Destination {
            target: target(&url)?,
            secret: signing(&secret)?,
            headers: Headers::default(),
            format: Format::Standard,
            options: FormatOptions::default(),
        })
    }
}

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
        options: formats::options_from(row, sealer)?,
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
