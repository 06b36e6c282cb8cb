//! TLS towards receivers: whom the sender believes, what it identifies itself with, what a failed handshake means.
//!
//! There is one configuration, with its session tickets, for each set of authorities and client certificate; as many as are in
//! use at a time are kept, the least used go first.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use quick_cache::sync::Cache;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, ProtocolVersion, RootCertStore};
use rustls_platform_verifier::Verifier;
use secrecy::ExposeSecret as _;
use tokio::sync::OnceCell;
use url::Host;

use crate::domain::field_error::FieldError;
use crate::domain::webhook::AttemptError;
use crate::domain::webhook::connection::{ClientCertificate, Connection};
use crate::domain::webhook::exchange::TlsVersion;
use crate::domain::webhook::target::TargetUrl;
use crate::telemetry::x509;

/// The name that a receiver's certificate has to be for.
pub(super) fn server_name(target: &TargetUrl) -> Option<ServerName<'static>> {
    match target.host() {
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
        Host::Ipv4(address) => Some(ServerName::from(IpAddr::V4(address))),
        Host::Ipv6(address) => Some(ServerName::from(IpAddr::V6(address))),
    }
}

/// How many configurations of endpoints' own are kept; each holds the platform's roots.
const CONFIGS: usize = 64;
/// The most certificates in one text.
const CERTIFICATES: usize = 20;

/// Authorities and client certificate, by their SHA-256.
type Key = [u8; 32];

/// The configurations by what endpoints ask for.
pub(super) struct TlsConfigs {
    /// The one of those that ask for nothing.
    common: OnceCell<Arc<ClientConfig>>,
    own: Cache<Key, Arc<ClientConfig>>,
}

impl TlsConfigs {
    /// With the platform's roots, read when the first delivery needs them.
    pub(super) fn of_platform() -> Self {
        Self {
            common: OnceCell::new(),
            own: Cache::new(CONFIGS),
        }
    }

    /// With another idea of whom to trust.
    pub(super) fn with(common: ClientConfig) -> Self {
        Self {
            common: OnceCell::new_with(Some(Arc::new(common))),
            own: Cache::new(CONFIGS),
        }
    }

    /// The configuration for a connection.
    pub(super) async fn of(&self, connection: &Connection) -> Result<Arc<ClientConfig>, AttemptError> {
        let Some(key) = key_of(connection) else {
            let common = self.common.get_or_try_init(|| built(Connection::default()));
            return common.await.cloned();
        };
        if let Some(known) = self.own.get(&key) {
            return Ok(known);
        }
        let config = built(connection.clone()).await?;
        self.own.insert(key, config.clone());
        Ok(config)
    }
}

/// What tells configurations apart; none where nothing is asked for.
fn key_of(connection: &Connection) -> Option<Key> {
    let (authorities, client) = (connection.authorities.as_ref(), connection.client.as_ref());
    if authorities.is_none() && client.is_none() {
        return None;
    }
    let mut context = Context::new(&SHA256);
    let key = client.map(|client| client.private_key.expose_secret());
    for part in [
        authorities.map(String::as_str),
        client.map(|client| client.certificate.as_str()),
        key,
    ] {
        let part = part.unwrap_or_default();
        context.update(&part.len().to_le_bytes());
        context.update(part.as_bytes());
    }
    context.finish().as_ref().try_into().ok()
}

/// Builds a configuration, apart from the tasks that send: the platform's roots are files.
async fn built(connection: Connection) -> Result<Arc<ClientConfig>, AttemptError> {
    let build = move || {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let broken = |detail: &'static str| rustls::Error::General(detail.to_owned());
        let authorities = connection
            .authorities
            .as_deref()
            .map_or(Ok(Vec::new()), certificates);
        let roots = authorities.map_err(broken)?;
        let verifier = Verifier::new_with_extra_roots(roots, provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut tls = match &connection.client {
            Some(client) => {
                let key = private_key(client).map_err(broken)?;
                let chain = certificates(&client.certificate).map_err(broken)?;
                builder.with_client_auth_cert(chain, key)?
            }
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok::<_, rustls::Error>(Arc::new(tls))
    };
    match tokio::task::spawn_blocking(build).await {
        Ok(Ok(tls)) => Ok(tls),
        Ok(Err(error)) => {
            tracing::error!(%error, "certificate authorities or a client certificate cannot be read; no receiver can be trusted");
            Err(AttemptError::TlsUntrusted)
        }
        Err(_) => Err(AttemptError::Internal),
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|_| "holds a block that is not PEM")?;
    let is_certificate = |der: &CertificateDer<'_>| x509::not_after(der).is_some();
    if found.is_empty() || found.len() > CERTIFICATES || !found.iter().all(is_certificate) {
        return Err("is not one to 20 certificates in PEM");
    }
    Ok(found)
}

fn private_key(client: &ClientCertificate) -> Result<PrivateKeyDer<'static>, &'static str> {
    PrivateKeyDer::from_pem_slice(client.private_key.expose_secret().as_bytes())
        .map_err(|_| "is not a private key in PEM (PKCS#8, PKCS#1 or SEC1), or is encrypted")
}

/// What is wrong with the certificates of a connection: each with its member. The texts are never repeated.
#[must_use]
pub fn faults(connection: &Connection) -> Vec<FieldError> {
    let mut found = Vec::new();
    let authorities = connection.authorities.as_deref().map(|pem| {
        let mut roots = RootCertStore::empty();
        let all = certificates(pem)?;
        let mut added = all.into_iter().map(|root| roots.add(root));
        added.try_for_each(|added| added.map_err(|_| "holds a certificate that cannot be an authority"))
    });
    if let Some(Err(detail)) = authorities {
        found.push(FieldError::new("/caCertificate", detail));
    }
    let Some(client) = &connection.client else {
        return found;
    };
    match (certificates(&client.certificate), private_key(client)) {
        (Ok(chain), Ok(key)) => {
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            if CertifiedKey::from_der(chain, key, &provider).is_err() {
                let detail = "cannot be used, or does not belong to the certificate";
                found.push(FieldError::new("/clientCertificate/privateKey", detail));
            }
        }
        (chain, key) => {
            let members = [
                ("/clientCertificate/certificate", chain.err()),
                ("/clientCertificate/privateKey", key.err()),
            ];
            let faults = members
                .into_iter()
                .filter_map(|(pointer, detail)| Some((pointer, detail?)));
            found.extend(faults.map(|(pointer, detail)| FieldError::new(pointer, detail)));
        }
    }
    found
}

/// The version that was agreed on, of those that are offered.
pub(super) const fn version(spoken: ProtocolVersion) -> Option<TlsVersion> {
    match spoken {
        ProtocolVersion::TLSv1_2 => Some(TlsVersion::V12),
        ProtocolVersion::TLSv1_3 => Some(TlsVersion::V13),
        _ => None,
    }
}

/// What TLS found wrong, if it was TLS.
pub(super) fn inner(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Until when a certificate was valid that was refused for it.
pub(super) fn expiry_of(error: &io::Error) -> Option<Timestamp> {
    match inner(error)? {
        rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            Timestamp::from_second(i64::try_from(not_after.as_secs()).ok()?).ok()
        }
        _ => None,
    }
}

/// The class of a failed handshake.
pub(super) fn of_handshake(error: &io::Error) -> AttemptError {
    let Some(rustls::Error::InvalidCertificate(fault)) = inner(error) else {
        return match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => AttemptError::Reset,
            _ => AttemptError::Tls,
        };
    };
    match fault {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => AttemptError::TlsExpired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            AttemptError::TlsName
        }
        // Foreign and growing: whatever else is wrong with a certificate, it is not trusted.
        _ => AttemptError::TlsUntrusted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::SecretString;

    fn certificate() -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["gateway.example".to_owned()]).expect("parameters");
        (
            params.self_signed(&key).expect("a certificate").pem(),
            key.serialize_pem(),
        )
    }

    fn with_client(certificate: &str, key: &str) -> Connection {
        Connection {
            client: Some(ClientCertificate {
                certificate: certificate.to_owned(),
                private_key: SecretString::from(key),
            }),
            ..Connection::default()
        }
    }

    fn pointers(connection: &Connection) -> Vec<String> {
        faults(connection)
            .into_iter()
            .map(|fault| fault.pointer)
            .collect()
    }

    #[test]
    fn bad_pem_is_refused_with_its_member() {
        let ((certificate, key), (_, other)) = (certificate(), certificate());
        let (of_certificate, of_key) = ("/clientCertificate/certificate", "/clientCertificate/privateKey");
        let broken = certificate.replace("-----END", "----END");
        for (connection, expected) in [
            (with_client(&certificate, &key), vec![]),
            (with_client(&certificate, &other), vec![of_key]),
            (with_client("nothing", "nothing"), vec![of_certificate, of_key]),
            (with_client(&broken, &key), vec![of_certificate]),
            (with_client(&key, &key), vec![of_certificate]),
            (with_client(&certificate, &certificate), vec![of_key]),
        ] {
            assert_eq!(pointers(&connection), expected);
        }
        for (pem, is_accepted) in [
            (certificate.clone(), true),
            (certificate.repeat(20), true),
            (certificate.repeat(21), false),
            (key, false),
            (String::new(), false),
        ] {
            let connection = Connection {
                authorities: Some(pem),
                ..Connection::default()
            };
            assert_eq!(pointers(&connection).is_empty(), is_accepted);
        }
    }

    #[tokio::test]
    async fn connections_with_the_same_certificates_share_a_configuration() {
        let (certificate, key) = certificate();
        let one = with_client(&certificate, &key);
        let mut timed = one.clone();
        timed.timeout = Some(std::time::Duration::from_secs(3));
        let mut other = one.clone();
        other.authorities = Some(certificate);
        let configs = TlsConfigs::of_platform();
        let of = async |connection: &Connection| configs.of(connection).await.expect("a configuration");
        let first = of(&one).await;
        assert!(Arc::ptr_eq(&first, &of(&timed).await));
        assert!(!Arc::ptr_eq(&first, &of(&other).await));
        assert!(!Arc::ptr_eq(&first, &of(&Connection::default()).await));
    }
}
