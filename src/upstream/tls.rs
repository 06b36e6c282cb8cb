//! How the gateway verifies that it speaks to EM: the platform's roots and the operator's own, pinned leaves, or not at all.
//!
//! EM comes with a self-signed certificate that often has a common name only and is marked as an authority;
//! rustls refuses such a leaf even when it is trusted as a root. One verifier serves all modes. Whatever it skips,
//! it never skips the handshake's signature: without that, a copied certificate would be enough to pose as EM.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, OtherError, SignatureScheme,
};

use super::config::Config;
use super::error::SetupError;
use crate::telemetry::x509::Facts;

/// The TLS side of every connection to EM. TLS 1.2 and 1.3, HTTP/1.1.
pub(super) fn client_config(config: &Config) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier {
        trust: trust(config, &provider)?,
        algorithms: provider.signature_verification_algorithms,
    };
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SetupError::Certificates(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

/// A certificate that is refused, in the words that the operator needs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Distrusted(String);

/// What was presented, and how to trust it. Comparing it at EM itself is what makes the pin worth anything.
fn distrusted(why: &str, leaf: &CertificateDer<'_>) -> TlsError {
    let Facts {
        sha256,
        subject,
        issuer,
        expires,
        ..
    } = Facts::of(leaf);
    let text = format!(
        "its certificate {why}; it presented the one with SHA-256 {sha256}, subject {subject}, issuer {issuer}, \
         expiry {expires}; once it was compared with the certificate at Enterprise Manager itself, configure \
         upstream.pin_sha256: pin_sha256 = [\"{sha256}\"]"
    );
    TlsError::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Distrusted(text)))))
}

/// The words of [`distrusted`], where they are this error's cause: rustls does not print what it was given.
pub(super) fn distrust<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a str> {
    let mut inner: &(dyn std::error::Error + 'static) = error;
    // Each layer of the client wraps what the one below it says.
    while let Some(io) = inner.downcast_ref::<std::io::Error>() {
        inner = io.get_ref()?;
    }
    match inner.downcast_ref::<TlsError>()? {
        TlsError::InvalidCertificate(CertificateError::Other(OtherError(cause))) => cause
            .downcast_ref::<Distrusted>()
            .map(|Distrusted(text)| text.as_str()),
        _ => None,
    }
}

fn trust(config: &Config, provider: &Arc<CryptoProvider>) -> Result<Trust, SetupError> {
    if config.url.scheme() != "https" {
        return Ok(Trust::Pins(Vec::new()));
    }
    if !config.pin_sha256.is_empty() {
        return Ok(Trust::Pins(config.pin_sha256.clone()));
    }
    if config.accept_invalid_certs {
        tracing::warn!(
            "the certificate of Enterprise Manager is not checked (upstream.accept_invalid_certs); \
             pin it with upstream.pin_sha256 instead"
        );
        return Ok(Trust::Anybody);
    }
    let own = own_roots(config.ca_pem.as_deref().unwrap_or_default())?;
    let chain = rustls_platform_verifier::Verifier::new_with_extra_roots(own.clone(), provider.clone())
        .map_err(|error| SetupError::Certificates(error.to_string()))?;
    Ok(Trust::Chain { chain, own })
}

fn own_roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let roots = roots.map_err(|error| SetupError::Certificates(format!("ca_file is not PEM: {error}")))?;
    if roots.is_empty() && !pem.is_empty() {
        return Err(SetupError::Certificates(
            "ca_file holds no certificate".to_owned(),
        ));
    }
    Ok(roots)
}

#[derive(Debug)]
enum Trust {
    /// A chain to a root of the platform's or the operator's; a leaf that the operator lists is trusted itself.
    Chain {
        chain: rustls_platform_verifier::Verifier,
        own: Vec<CertificateDer<'static>>,
    },
    /// The leaf's SHA-256 is one of these.
    Pins(Vec<[u8; 32]>),
    /// No check: any certificate.
    Anybody,
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        match &self.trust {
            Trust::Anybody => Ok(ServerCertVerified::assertion()),
            Trust::Pins(pins) => {
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, end_entity);
                if pins.iter().any(|pin| pin == digest.as_ref()) {
                    Ok(ServerCertVerified::assertion())
                } else {
                    Err(distrusted("does not fit upstream.pin_sha256", end_entity))
                }
            }
            // Operators put EM's self-signed certificate itself into ca_file; that is as good as a pin.
            Trust::Chain { own, .. } if own.iter().any(|root| root == end_entity) => {
                Ok(ServerCertVerified::assertion())
            }
            Trust::Chain { chain, .. } => chain
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map_err(|error| match error {
                    TlsError::InvalidCertificate(fault) => {
                        distrusted(&format!("is not trusted ({fault})"), end_entity)
                    }
                    other => other,
                }),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
