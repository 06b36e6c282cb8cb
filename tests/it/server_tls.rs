//! The certificate of the listener while the gateway runs: replaced, broken, swapped by a link; and SIGHUP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[cfg(target_os = "linux")]
use crate::support::service_manager::ServiceManager;
use crate::support::world::{World, stats};
use crate::waiting::eventually;

const REPLACED: &str = "the certificate of server.tls was replaced";
const REFUSED: &str = "the new certificate of server.tls cannot be used; the old one is still served";
const HANGUP: &str = "SIGHUP: the files of server.tls are read again; other settings need a restart";

/// A certificate with its key.
struct Pair {
    der: Vec<u8>,
    certificate: String,
    key: String,
}

fn pair(name: &str) -> Pair {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_after = rcgen::date_time_ymd(2040, 1, 2);
    let certificate = params.self_signed(&key).expect("a certificate");
    Pair {
        der: certificate.der().to_vec(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

/// A gateway whose files of `server.tls` are in a folder.
struct Served {
    world: World,
    folder: tempfile::TempDir,
}

impl Served {
    fn start(folder: tempfile::TempDir) -> Self {
        Self::start_with(folder, "A=b")
    }

    /// The same with one more variable.
    fn start_with(folder: tempfile::TempDir, variable: &str) -> Self {
        let at = |key: &str, file: &str| {
            format!("EMGATE_SERVER__TLS__{key}={}", folder.path().join(file).display())
        };
        let (cert, key) = (at("CERT_FILE", "tls.crt"), at("KEY_FILE", "tls.key"));
        let world = World::begin_by(&["env", &cert, &key, variable], &[]);
        Self { world, folder }
    }

    fn with(first: &Pair) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), first);
        Self::start(folder)
    }

    /// The leaf that a new connection gets.
    async fn leaf(&self) -> Vec<u8> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_info(true)
            .tls_danger_accept_invalid_certs(true)
            .build()
            .expect("a client");
        let url = format!("https://{}/healthz", self.world.gateway.addr);
        let answer = client.get(url).send().await.expect("an answer over TLS");
        let info = answer.extensions().get::<reqwest::tls::TlsInfo>();
        info.and_then(|info| info.peer_certificate())
            .expect("a certificate")
            .to_vec()
    }

    async fn until(&self, wanted: &Pair) {
        let is_served = async || self.leaf().await == wanted.der;
        eventually("the new certificate", is_served, |served| *served).await;
    }

    fn line(&mut self, message: &str) -> Value {
        self.world.gateway.wait_for_line(message)
    }
}

fn write(folder: &Path, pair: &Pair) {
    std::fs::write(folder.join("tls.crt"), &pair.certificate).expect("written");
    std::fs::write(folder.join("tls.key"), &pair.key).expect("written");
}

#[tokio::test]
async fn a_replaced_pair_is_served_without_a_restart() {
    let (first, second) = (pair("first.example"), pair("second.example"));
    let mut served = Served::with(&first);
    assert_eq!(served.leaf().await, first.der);
    write(served.folder.path(), &second);
    served.until(&second).await;
    let line = served.line(REPLACED);
    assert!(
        line["subject"]
            .as_str()
            .is_some_and(|subject| subject.contains("CN=second.example")),
        "{line}"
    );
    assert_eq!(line["expires"], "2040-01-02T00:00:00Z", "{line}");
    let (status, _) = served.world.stop_gateway();
    assert!(status.success());
}

#[cfg(unix)]
#[tokio::test]
async fn a_pair_that_is_swapped_by_a_link_is_served() {
    use std::os::unix::fs::symlink;
    let (first, second) = (pair("first.example"), pair("second.example"));
    let folder = tempfile::tempdir().expect("a folder");
    let version = |name: &str, pair: &Pair| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).expect("a folder");
        write(&path, pair);
        path
    };
    // As the kubelet lays a secret out: the files are links through a link, which is what changes.
    version("..1", &first);
    symlink("..1", folder.path().join("..data")).expect("a link");
    for file in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(file), folder.path().join(file)).expect("a link");
    }
    version("..2", &second);
    let served = Served::start(folder);
    assert_eq!(served.leaf().await, first.der);
    let data = served.folder.path();
    symlink("..2", data.join("..data_tmp")).expect("a link");
    std::fs::rename(data.join("..data_tmp"), data.join("..data")).expect("swapped");
    std::fs::remove_dir_all(data.join("..1")).expect("removed");
    served.until(&second).await;
}

#[tokio::test]
async fn an_unusable_pair_leaves_the_old_certificate_in_use() {
    let (first, other) = (pair("first.example"), pair("other.example"));
    let mut served = Served::with(&first);
    let (cert, key) = (
        served.folder.path().join("tls.crt"),
        served.folder.path().join("tls.key"),
    );
    let breaks: [(&str, &dyn Fn()); 5] = [
        ("another key", &|| {
            std::fs::write(&key, &other.key).expect("written")
        }),
        ("no certificate", &|| {
            std::fs::write(&cert, "nothing").expect("written")
        }),
        ("a broken certificate", &|| {
            let broken = first.certificate.replace("MII", "AAA");
            std::fs::write(&cert, broken).expect("written");
        }),
        ("an empty key", &|| std::fs::write(&key, "").expect("written")),
        ("no file", &|| std::fs::remove_file(&cert).expect("removed")),
    ];
    for (what, change) in breaks {
        write(served.folder.path(), &first);
        served.world.gateway.hangup();
        change();
        let line = served.line(REFUSED);
        assert!(
            line["error"].is_string() && line["cert_file"].is_string(),
            "{what}: {line}"
        );
        assert_eq!(served.leaf().await, first.der, "{what}");
    }
    write(served.folder.path(), &other);
    served.until(&other).await;
    assert!(!served.world.gateway.log().contains(REFUSED), "each once");
    let (status, _) = served.world.stop_gateway();
    assert!(status.success());
}

#[tokio::test]
async fn sighup_has_the_pair_read_again() {
    let (first, second) = (pair("first.example"), pair("second.example"));
    let mut served = Served::with(&first);
    write(served.folder.path(), &second);
    served.world.gateway.hangup();
    served.line(HANGUP);
    served.until(&second).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_reload_is_over_when_the_new_pair_is_served() {
    let (first, second) = (pair("first.example"), pair("second.example"));
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &first);
    let manager = ServiceManager::at_path();
    let served = Served::start_with(folder, manager.variable());
    manager.until("READY=1");
    for pair in [second, first] {
        write(served.folder.path(), &pair);
        served.world.gateway.hangup();
        manager.until("RELOADING=1");
        manager.until("READY=1");
        assert_eq!(served.leaf().await, pair.der);
    }
}

#[tokio::test]
async fn sighup_never_ends_a_gateway() {
    let mut world = World::start(&[]).await;
    for _ in 0..3 {
        world.gateway.hangup();
        world.gateway.wait_for_line(HANGUP);
    }
    assert!(world.gateway.is_alive());
    world.get("/api/v1/cloud-failover-plans").await;
    let counted = stats(&world.simulator).await;
    assert_eq!(counted["logoffs"], 0, "{counted}");
    let (status, simulator) = world.stop_gateway();
    assert!(status.success());
    assert_eq!(stats(&simulator).await["activeSessions"], 0);
}

/// An authority, and a certificate of a client that it signed, as PEM with its key.
fn authority() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("an authority").pem();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["client.example".to_owned()]).expect("parameters");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let client = params.signed_by(&key, &issuer).expect("a certificate");
    (certificate, client.pem() + &key.serialize_pem())
}

/// Whether a client with this certificate is answered.
async fn is_answered(url: &str, identity: Option<&str>) -> bool {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true);
    if let Some(identity) = identity {
        builder = builder.identity(reqwest::Identity::from_pem(identity.as_bytes()).expect("an identity"));
    }
    let client = builder.build().expect("a client");
    client.get(url).send().await.is_ok()
}

/// A gateway that asks its clients for a certificate of an authority, whose file is `ca.crt` of the folder.
fn asking(served: &Pair, authority: &str) -> Served {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), served);
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, authority).expect("written");
    let variable = format!("EMGATE_SERVER__TLS__CLIENT_CA_FILE={}", file.display());
    Served::start_with(folder, &variable)
}

#[tokio::test]
async fn only_clients_with_a_certificate_of_the_authority_are_answered() {
    let (ours, client) = authority();
    let (theirs, stranger) = authority();
    let Served { mut world, folder } = asking(&pair("gate.example"), &ours);
    let url = format!("https://{}/healthz", world.gateway.addr);
    assert!(is_answered(&url, Some(&client)).await);
    assert!(!is_answered(&url, None).await);
    assert!(!is_answered(&url, Some(&stranger)).await);
    // The health check has no certificate, and learns that the gateway lives.
    let health = |ready: &[&str]| {
        let mut command = crate::support::process::command(&[], &[&["health"], ready].concat());
        command
            .env("EMGATE_SERVER__LISTEN", world.gateway.addr.to_string())
            .env("EMGATE_SERVER__TLS__CERT_FILE", folder.path().join("tls.crt"))
            .env("EMGATE_SERVER__TLS__KEY_FILE", folder.path().join("tls.key"))
            .env("EMGATE_UPSTREAM__URL", "https://em.example:9398")
            .env("EMGATE_UPSTREAM__ACCOUNTS__0__NAME", "a")
            .env("EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME", "a")
            .env("EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD", "a")
            .env("EMGATE_AUTH__KEYS__0__KIND", "hs256")
            .env("EMGATE_AUTH__KEYS__0__SECRET", crate::support::SECRET);
        command
    };
    for (arguments, code) in [(&[][..], 0), (&["--ready"], 1)] {
        let mut command = health(arguments);
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        let output = ran.expect("no panic").expect("it runs");
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    std::fs::write(folder.path().join("ca.crt"), theirs).expect("written");
    world.gateway.hangup();
    world.gateway.wait_for_line(REPLACED);
    let swapped = async || {
        (
            is_answered(&url, Some(&stranger)).await,
            is_answered(&url, Some(&client)).await,
        )
    };
    eventually("the other authority", swapped, |answered| {
        *answered == (true, false)
    })
    .await;
    world.stop_gateway();
}

#[tokio::test]
async fn a_client_without_a_certificate_reads_why_whatever_it_had_sent() {
    let served = pair("gate.example");
    let Served { world, .. } = asking(&served, &authority().0);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(served.der.clone().into()).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let socket = tokio::net::TcpStream::connect(world.gateway.addr)
        .await
        .expect("connected");
    let name = "localhost".try_into().expect("a name");
    let mut stream = connector.connect(name, socket).await.expect("this side is done");
    let (socket, _) = stream.get_ref();
    socket.peek(&mut [0]).await.expect("the alert is there");
    // A connection that was closed with the alert is reset by the first of these.
    for part in ["GET /healthz HTTP/1.1\r\n", "host: x\r\n", "\r\n"] {
        stream.write_all(part.as_bytes()).await.expect("taken");
        stream.flush().await.expect("taken");
    }
    let error = stream.read_to_end(&mut Vec::new()).await.expect_err("no answer");
    let why = error.get_ref().and_then(|error| error.downcast_ref());
    let wanted = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
    assert_eq!(why, Some(&wanted), "{error}");
}
