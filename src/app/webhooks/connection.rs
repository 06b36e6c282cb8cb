//! How an endpoint's receiver is reached, as a caller sets it. What is masked on reads stands for what is stored.

use super::Webhooks;
use crate::api_types::webhooks::{WebhookClientCertificateInput, WebhookEndpointPatch};
use crate::app::FieldError;
use crate::domain::webhook::connection::{self, ClientCertificate, Connection, Proxy};
use crate::domain::webhook::target::MASK;
use crate::webhooks::tls;

/// Applies what a patch says of it; whether that fits is for [`Webhooks::check_connection`], and of a proxy's URL for
/// [`Webhooks::vet_proxy`].
pub(super) fn apply(
    patch: &mut WebhookEndpointPatch,
    connection: &mut Connection,
    faults: &mut Vec<FieldError>,
) {
    if let Some(seconds) = patch.timeout.take() {
        connection.timeout = seconds.map(connection::timeout);
    }
    if let Some(text) = patch.ca_certificate.take() {
        connection.authorities = text.map(|text| connection::pem(&text, "/caCertificate", faults));
    }
    match patch.client_certificate.take() {
        None => {}
        Some(None) => connection.client = None,
        Some(Some(client)) => {
            connection.client = Some(apply_client(client, connection.client.take(), faults));
        }
    }
    match patch.proxy.take() {
        None => {}
        Some(Some(text)) if is_masked_proxy(&text, connection) => {}
        Some(text) => connection.proxy = text.and_then(|text| Proxy::parse(&text).ok()),
    }
}

/// Whether a value is the masked one of a read, sent back, and stands for one that is stored.
pub(super) fn is_masked(given: &str, is_stored: bool) -> bool {
    given == MASK && is_stored
}

/// Whether a proxy's URL is the masked one of a read, sent back.
pub(super) fn is_masked_proxy(text: &str, stored: &Connection) -> bool {
    let shown = stored.proxy.as_ref().map(Proxy::shown);
    text.contains(MASK) && shown.as_deref() == Some(text)
}

/// The client certificate that a change leaves; of one that there is, what is absent stays.
fn apply_client(
    wanted: WebhookClientCertificateInput,
    before: Option<ClientCertificate>,
    faults: &mut Vec<FieldError>,
) -> ClientCertificate {
    let (of_certificate, of_key) = ("/clientCertificate/certificate", "/clientCertificate/privateKey");
    let (certificate, key) = before
        .map(|client| (client.certificate, client.private_key))
        .unzip();
    let given = wanted
        .private_key
        .filter(|given| !is_masked(given, key.is_some()));
    let given = given.map(|text| connection::pem(&text, of_key, faults).into());
    let certificate = wanted
        .certificate
        .map(|text| connection::pem(&text, of_certificate, faults))
        .or(certificate);
    let key = given.or(key);
    if certificate.is_none() {
        faults.push(FieldError::new(
            of_certificate,
            "a client certificate is needed beside its key",
        ));
    }
    if key.is_none() {
        faults.push(FieldError::new(of_key, "a client certificate has a private key"));
    }
    ClientCertificate {
        certificate: certificate.unwrap_or_default(),
        private_key: key.unwrap_or_default(),
    }
}

impl Webhooks {
    /// Checks what was changed of how a receiver is reached.
    pub(super) fn check_connection(
        &self,
        connection: &Connection,
        before: &Connection,
        faults: &mut Vec<FieldError>,
    ) {
        if connection.timeout != before.timeout {
            connection::check_timeout(connection.timeout, self.max_timeout, faults);
        }
        let is_told = faults.iter().any(|fault| {
            fault.pointer.starts_with("/caCertificate") || fault.pointer.starts_with("/clientCertificate")
        });
        let same = connection.authorities == before.authorities && connection.client == before.client;
        if !same && !is_told {
            faults.extend(tls::faults(connection));
        }
    }

    /// Checks the URL of a proxy and where it points, before anything is locked.
    pub(super) async fn vet_proxy(
        &self,
        given: Option<&str>,
        stored: &Connection,
        faults: &mut Vec<FieldError>,
    ) {
        let Some(text) = given.filter(|text| !is_masked_proxy(text, stored)) else {
            return;
        };
        if text.contains(MASK) {
            let detail = "the URL holds ***, which stands for what is not shown; write the whole URL";
            faults.push(FieldError::new("/proxy", detail));
        } else if let Err(refused) = self.guard.check_proxy(text).await {
            faults.push(FieldError::new("/proxy", refused.0));
        }
    }
}
