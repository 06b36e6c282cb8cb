//! The certificate of `--tls`: made at the start, self-signed, not an authority.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::Error;

/// The names and addresses of the certificate.
const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "em.lab.example"];

/// A certificate and what a client needs to trust it.
pub struct Identity {
    pub acceptor: TlsAcceptor,
    /// SHA-256 of the certificate's DER, in hexadecimal: `upstream.pin_sha256`.
    pub pin: String,
    /// The certificate itself: `upstream.ca_file`.
    pub pem: String,
}

/// Makes a certificate (CA:FALSE, which is what lets a strict client accept it as its own root).
pub fn identity() -> Result<Identity, Error> {
    let mut parameters = CertificateParams::new(NAMES.map(str::to_owned))?;
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "simulated Enterprise Manager");
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    let pin = hex(digest(&SHA256, certificate.der()).as_ref());
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    Ok(Identity {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        pin,
        pem: certificate.pem(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
