//! How an endpoint's receiver is reached, as it is stored: one sealed document, or nothing.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::super::Error;
use super::super::row::{Columns as _, json};
use super::super::seal::Sealer;
use super::{opened, purpose};
use crate::domain::webhook::connection::{ClientCertificate, Connection, Proxy};

const WHAT: &str = "webhook_endpoints.connection";

/// The form in which it is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorities: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<StoredClient>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proxy: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredClient {
    certificate: String,
    private_key: String,
}

/// As it is stored; nothing when it is as for all.
pub(super) fn sealed(sealer: &Sealer, connection: &Connection) -> Result<Option<String>, Error> {
    if *connection == Connection::default() {
        return Ok(None);
    }
    let stored = Stored {
        timeout_ms: connection
            .timeout
            .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        authorities: connection.authorities.clone(),
        client: connection.client.as_ref().map(|client| StoredClient {
            certificate: client.certificate.clone(),
            private_key: client.private_key.expose_secret().to_owned(),
        }),
        proxy: connection.proxy.as_ref().map(|proxy| proxy.url().to_string()),
    };
    let document = SecretString::from(json(&stored, WHAT)?);
    sealer.seal(purpose::CONNECTION, &document).map(Some)
}

/// How the receiver of a row is reached.
pub(super) fn from(row: &AnyRow, sealer: &Sealer) -> Result<Connection, Error> {
    let corrupt = || Error::Corrupt { what: WHAT };
    let Some(sealed) = row.opt_text("connection")? else {
        return Ok(Connection::default());
    };
    let text = opened(sealer, purpose::CONNECTION, &sealed)?;
    let stored: Stored = serde_json::from_str(&text).map_err(|_| corrupt())?;
    let proxy = stored.proxy.map(|url| Proxy::parse(&url)).transpose();
    Ok(Connection {
        timeout: stored.timeout_ms.map(Duration::from_millis),
        authorities: stored.authorities,
        client: stored.client.map(|client| ClientCertificate {
            certificate: client.certificate,
            private_key: SecretString::from(client.private_key),
        }),
        proxy: proxy.map_err(|_| corrupt())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock as _, SystemClock};
    use crate::domain::access::Tenancy;
    use crate::domain::id::EndpointId;
    use crate::domain::webhook::Owner;
    use crate::domain::webhook::endpoint::{Settings, SigningSecret};
    use crate::domain::webhook::target::TargetUrl;
    use crate::store::testing::temporary;

    #[tokio::test]
    async fn how_an_endpoint_is_reached_is_read_back_and_stored_unreadably() {
        let store = temporary().await;
        let connection = Connection {
            timeout: Some(Duration::from_secs(30)),
            authorities: Some("PEM of an authority".to_owned()),
            client: Some(ClientCertificate {
                certificate: "PEM of a certificate".to_owned(),
                private_key: SecretString::from("PEM of a key"),
            }),
            proxy: Proxy::parse("http://user:word@proxy.example:3128").ok(),
        };
        let mut settings = Settings {
            connection: connection.clone(),
            rate: Some(5),
            ..Settings::default()
        };
        let id = EndpointId::new(SystemClock.id());
        let target = TargetUrl::parse("https://receiver.example/", false).expect("a URL");
        let secret = SigningSecret::from_key(&[1; 32]);
        let mut tx = store.begin().await.expect("begun");
        tx.insert_endpoint(id, &Owner::default(), &target, &secret, &settings)
            .await
            .expect("inserted");
        let mut endpoint = tx
            .endpoint(id, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        assert_eq!(endpoint.settings, settings);
        let row = sqlx::query("select connection from webhook_endpoints")
            .fetch_one(tx.connection())
            .await
            .expect("a row");
        let text = row.text("connection").expect("text");
        assert!(!text.contains("PEM") && !text.contains("proxy"), "{text}");
        settings.connection = Connection::default();
        settings.rate = None;
        endpoint.settings = settings.clone();
        tx.update_endpoint(&endpoint, &target).await.expect("updated");
        let endpoint = tx
            .endpoint(id, &Tenancy::All)
            .await
            .expect("read")
            .expect("there");
        assert_eq!(endpoint.settings, settings);
    }
}
