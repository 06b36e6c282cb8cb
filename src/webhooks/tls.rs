//! TLS towards receivers: whom the sender believes, what a failed handshake means, what a certificate says of its end.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ProtocolVersion};
use url::Host;

use crate::domain::webhook::AttemptError;
use crate::domain::webhook::exchange::TlsVersion;
use crate::domain::webhook::target::TargetUrl;

/// The name that a receiver's certificate has to be for.
pub(super) fn server_name(target: &TargetUrl) -> Option<ServerName<'static>> {
    match target.host() {
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
        Host::Ipv4(address) => Some(ServerName::from(IpAddr::V4(address))),
        Host::Ipv6(address) => Some(ServerName::from(IpAddr::V6(address))),
    }
}

/// The platform's roots, read when the first delivery needs them.
pub(super) async fn of_platform() -> Result<Arc<ClientConfig>, AttemptError> {
    let build = || {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = rustls_platform_verifier::Verifier::new(provider.clone())?;
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok::<_, rustls::Error>(Arc::new(tls))
    };
    match tokio::task::spawn_blocking(build).await {
        Ok(Ok(tls)) => Ok(tls),
        Ok(Err(error)) => {
            tracing::error!(%error, "the platform's certificate authorities cannot be read; no receiver can be trusted");
            Err(AttemptError::TlsUntrusted)
        }
        Err(_) => Err(AttemptError::Internal),
    }
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
