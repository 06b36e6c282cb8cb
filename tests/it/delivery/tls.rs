//! Receivers behind TLS: whom the sender believes, and how each doubt is called.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use emgate::domain::webhook::AttemptError;
use emgate::domain::webhook::target::TargetUrl;
use emgate::webhooks::egress::Resolve;
use emgate::webhooks::{Client, EgressPolicy};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::bench::lab;
use super::peer::{Peer, Reply};

pub(super) struct Loopback;

#[async_trait::async_trait]
impl Resolve for Loopback {
    async fn lookup(&self, _host: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

pub(super) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// A TLS server with a leaf of this authority.
pub(super) async fn server(
    authority: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    change: impl FnOnce(&mut CertificateParams),
) -> SocketAddr {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    let leaf = params.signed_by(&key, authority).expect("a leaf");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = builder()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a configuration");
    served(config).await
}

/// The same, which asks for a certificate of the authority's.
pub(super) async fn server_asking(authority: &CertifiedIssuer<'static, KeyPair>, name: &str) -> SocketAddr {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    let leaf = params.signed_by(&key, authority).expect("a leaf");
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = builder()
        .with_client_cert_verifier(clients.build().expect("a verifier"))
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a configuration");
    served(config).await
}

fn builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
}

async fn served(config: ServerConfig) -> SocketAddr {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    addr
}

pub(super) fn client(authority: &CertifiedIssuer<'static, KeyPair>) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let guard = EgressPolicy::with_resolver(&lab(), Vec::new(), Box::new(Loopback));
    Client::with_tls(guard, Duration::from_secs(2), tls)
}

async fn post(client: &Client, host: &str, addr: SocketAddr) -> Result<u16, AttemptError> {
    let url = format!("https://{host}:{}/hook", addr.port());
    let target = TargetUrl::parse(&url, false).expect("a URL");
    let report = client
        .post(&target, http::HeaderMap::new(), bytes::Bytes::from_static(b"{}"))
        .await;
    report.result.map(|answer| answer.status)
}

#[tokio::test]
async fn a_certificate_is_checked_by_authority_name_and_validity() {
    let (ours, theirs) = (authority(), authority());
    let good = server(&ours, "receiver.test", |_| {}).await;
    assert_eq!(post(&client(&ours), "receiver.test", good).await, Ok(204));
    assert_eq!(post(&client(&ours), "receiver.test.", good).await, Ok(204));
    assert_eq!(
        post(&client(&theirs), "receiver.test", good).await,
        Err(AttemptError::TlsUntrusted)
    );
    assert_eq!(
        post(&client(&ours), "other.test", good).await,
        Err(AttemptError::TlsName)
    );
    let expired = server(&ours, "receiver.test", |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    })
    .await;
    assert_eq!(
        post(&client(&ours), "receiver.test", expired).await,
        Err(AttemptError::TlsExpired)
    );
    let early = server(&ours, "receiver.test", |params| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    })
    .await;
    assert_eq!(
        post(&client(&ours), "receiver.test", early).await,
        Err(AttemptError::TlsExpired)
    );
}

#[tokio::test]
async fn a_certificate_can_name_an_address() {
    let ours = authority();
    let good = server(&ours, "127.0.0.1", |_| {}).await;
    assert_eq!(post(&client(&ours), "127.0.0.1", good).await, Ok(204));
}

#[tokio::test]
async fn a_receiver_that_speaks_no_tls_or_stalls_the_handshake_has_its_class() {
    let ours = authority();
    let stalling = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = stalling.local_addr().expect("an address");
    assert_eq!(
        post(&client(&ours), "receiver.test", addr).await,
        Err(AttemptError::Timeout)
    );
    let talking = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = talking.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = talking.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 4096]).await;
        }
    });
    assert_eq!(
        post(&client(&ours), "receiver.test", addr).await,
        Err(AttemptError::Tls)
    );
}

#[tokio::test]
async fn a_private_certificate_is_refused_by_the_platforms_authorities() {
    let ours = authority();
    let addr = server(&ours, "receiver.test", |_| {}).await;
    let guard = EgressPolicy::with_resolver(&lab(), Vec::new(), Box::new(Loopback));
    let client = Client::new(guard, Duration::from_secs(5));
    assert_eq!(
        post(&client, "receiver.test", addr).await,
        Err(AttemptError::TlsUntrusted)
    );
}

#[tokio::test]
async fn nothing_is_sent_before_the_receiver_is_believed() {
    let peer = Peer::answering(Reply::Stall(Vec::new())).await;
    assert!(
        post(&client(&authority()), "receiver.test", peer.addr)
            .await
            .is_err()
    );
    assert_eq!(peer.count(), 0);
}
