//! The certificate of the listener: read at the start, and again whenever its files change.
//!
//! Certificates are renewed under running processes (cert-manager, certbot), and what is not picked up is noticed when
//! it expires. A pair that cannot be used leaves the one in use where it is.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use axum_server::tls_rustls::RustlsConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use secrecy::{ExposeSecret as _, SecretSlice};

use super::config::TlsConfig;
use super::server::Error;
use crate::runtime::{Turn, Worker};
use crate::telemetry::x509::Facts;

/// How often the files are read. Two reads take less than the 10 s that operators are promised.
const PERIOD: Duration = Duration::from_secs(2);

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The pair in use, and the worker that replaces it.
pub struct Certificate {
    files: TlsConfig,
    served: RustlsConfig,
    content: Vec<u8>,
    doubt: Option<Doubt>,
}

/// What the files hold and cannot be used.
struct Doubt {
    /// The content's digest, or why there is none.
    what: Vec<u8>,
    logged: bool,
}

/// The files as they were read.
struct Pair {
    certificate: Vec<u8>,
    key: SecretSlice<u8>,
    client_authorities: Option<Vec<u8>>,
}

impl Certificate {
    /// Reads the pair.
    ///
    /// # Errors
    /// [`Error::Tls`]: a file cannot be read, or certificate and key do not fit each other.
    pub async fn load(files: &TlsConfig) -> Result<Self, Error> {
        let pair = Pair::read(files)
            .await
            .map_err(|error| Error::Tls(error.into()))?;
        let (config, leaf) = pair.config().map_err(Error::Tls)?;
        Facts::of(&leaf).gauge_expiry("server");
        Ok(Self {
            files: files.clone(),
            served: RustlsConfig::from_config(config),
            content: pair.digest(),
            doubt: None,
        })
    }

    /// What the listener serves, this pair or a later one.
    #[must_use]
    pub fn served(&self) -> RustlsConfig {
        self.served.clone()
    }

    fn serve(&mut self, config: Arc<ServerConfig>, leaf: &CertificateDer<'_>, content: Vec<u8>) {
        self.served.reload_from_config(config);
        self.content = content;
        self.doubt = None;
        let facts = Facts::of(leaf);
        facts.gauge_expiry("server");
        tracing::info!(
            subject = facts.subject,
            issuer = facts.issuer,
            expires = facts.expires,
            sha256 = facts.sha256,
            "the certificate of server.tls was replaced"
        );
    }

    /// Notes a pair that cannot be used. It is logged at the second read: between the writing of the one file and of
    /// the other they never fit.
    fn refuse(&mut self, what: Vec<u8>, error: &Cause) {
        match &mut self.doubt {
            Some(doubt) if doubt.what == what => {
                if !doubt.logged {
                    doubt.logged = true;
                    tracing::error!(
                        cert_file = %self.files.cert_file.display(),
                        key_file = %self.files.key_file.display(),
                        error = %error,
                        "the new certificate of server.tls cannot be used; the old one is still served"
                    );
                }
            }
            _ => self.doubt = Some(Doubt { what, logged: false }),
        }
    }
}

impl Worker for Certificate {
    const NAME: &'static str = "server certificate";

    async fn activate(&mut self) -> Turn {
        match Pair::read(&self.files).await {
            Ok(pair) => {
                let content = pair.digest();
                if content == self.content {
                    self.doubt = None;
                } else {
                    match pair.config() {
                        Ok((config, leaf)) => self.serve(config, &leaf, content),
                        Err(error) => self.refuse(content, &error),
                    }
                }
            }
            Err(error) => self.refuse(error.to_string().into_bytes(), &error.into()),
        }
        Turn::Rest(PERIOD)
    }
}

impl Pair {
    async fn read(files: &TlsConfig) -> Result<Self, std::io::Error> {
        let named = |error: std::io::Error, file: &std::path::Path| {
            std::io::Error::new(error.kind(), format!("{}: {error}", file.display()))
        };
        let read = async |file: &std::path::Path| {
            let content = tokio::fs::read(file).await;
            content.map_err(|error| named(error, file))
        };
        Ok(Self {
            certificate: read(&files.cert_file).await?,
            key: read(&files.key_file).await?.into(),
            client_authorities: match &files.client_ca_file {
                Some(file) => Some(read(file).await?),
                None => None,
            },
        })
    }

    /// By their content, so that neither times nor links nor inodes matter.
    fn digest(&self) -> Vec<u8> {
        let mut digest = Context::new(&SHA256);
        digest.update(&self.certificate.len().to_be_bytes());
        digest.update(&self.certificate);
        let key = self.key.expose_secret();
        digest.update(&key.len().to_be_bytes());
        digest.update(key);
        digest.update(self.client_authorities.as_deref().unwrap_or_default());
        digest.finish().as_ref().to_vec()
    }

    /// The server's side of TLS, and the leaf.
    fn config(&self) -> Result<(Arc<ServerConfig>, CertificateDer<'static>), Cause> {
        let chain = CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, _>>()?;
        let leaf = chain.first().ok_or("there is no certificate")?.clone();
        let key = PrivateKeyDer::from_pem_slice(self.key.expose_secret())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match &self.client_authorities {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in CertificateDer::pem_slice_iter(authorities) {
                    roots.add(authority?)?;
                }
                let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(clients.build()?)
            }
        };
        // Refuses a key that is not the certificate's.
        let mut server = builder.with_single_cert(chain, key)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok((Arc::new(server), leaf))
    }
}
