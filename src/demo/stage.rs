//! Everything the demo needs, started on loopback and stopped at its end.

use std::fs::DirBuilder;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::calendar::{Calendar, PAST};
use super::client::Client;
use super::receiver::{self, Inbox};
use super::{Options, because};
use crate::bootstrap::Gateway;
use crate::cli::Failure;
use crate::config::{self, Config};
use crate::sim::{self, Simulator};

/// What the demo's token allows: everything, for all tenants.
const SCOPES: &str = "plans:read plans:test plans:start plans:undo plans:write sessions:read operations:read \
    operations:cancel events:read webhooks:read webhooks:write em:read em:write audit:read plans:approve \
    reports:read reports:write tenants:all";
/// The tenant whose starts wait for approval, where somebody is there to approve.
pub const HELD_BACK: &str = "Nordwind Klinik";
/// How long the token is good.
const TOKEN_SECONDS: u64 = 12 * 3600;
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The running parts.
pub struct Stage {
    pub client: Client,
    /// The same for another caller.
    pub portal: Client,
    pub inbox: Inbox,
    /// `http://host:port` of the gateway, the simulator, and the receiver's whole URL.
    pub gateway_url: String,
    pub simulator_url: String,
    pub hook_url: String,
    pub token: String,
    pub calendar: Arc<Calendar>,
    gateway: Gateway,
    simulator: sim::Running,
    tracker: TaskTracker,
    stop: CancellationToken,
    // Last, so that it is removed after everything that writes into it.
    folder: Folder,
}

impl Stage {
    /// Starts the simulator, the receiver and the gateway, in this order.
    pub async fn build(options: &Options) -> Result<Self, Failure> {
        let folder = Folder::create()?;
        let past = if options.keep { PAST } else { Duration::ZERO };
        let calendar = Arc::new(Calendar::behind_by(past));
        let em = sim::Options {
            speed: options.speed(),
            vms: 4,
            plans: if options.keep { 8 } else { 3 },
            // No logon session expires while the clock goes through a year.
            idle: if options.keep { 1e9 } else { 900.0 },
            ..sim::Options::on_any_port()
        };
        let simulator = Simulator::start_at(em, calendar.clone())
            .await
            .map_err(because("the simulator did not start"))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(because("the receiver did not start"))?;
        let hook_url = format!(
            "http://{}/hook",
            listener
                .local_addr()
                .map_err(because("the receiver did not start"))?
        );
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let inbox = receiver::serve(listener, &tracker, stop.clone());
        let secret = random_text()?;
        let token = signed(&secret, "demo")?;
        let portal = signed(&secret, "portal")?;
        let config = config(options, &folder.0, &simulator.base_url(), &secret)?;
        let gateway = Gateway::start_at(config, calendar.clone())
            .await
            .map_err(because("the gateway did not start"))?;
        let gateway_url = format!("http://{}", gateway.addr());
        Ok(Self {
            client: Client::new(gateway_url.clone(), token.clone())?,
            portal: Client::new(gateway_url.clone(), portal)?,
            inbox,
            gateway_url,
            simulator_url: simulator.base_url(),
            hook_url,
            token,
            calendar,
            gateway,
            simulator,
            tracker,
            stop,
            folder,
        })
    }

    /// Stops everything, the gateway first: it logs off at the simulator.
    pub async fn strike(self) {
        let Self {
            gateway,
            simulator,
            tracker,
            stop,
            folder,
            ..
        } = self;
        if let Err(error) = gateway.stop().await {
            tracing::warn!("the gateway did not stop well: {error}");
        }
        simulator.stop().await;
        stop.cancel();
        tracker.close();
        let _ = tokio::time::timeout(STOP_LIMIT, tracker.wait()).await;
        drop(folder);
    }
}

/// The gateway's configuration, as an operator would write it.
fn config(options: &Options, folder: &Path, em: &str, secret: &str) -> Result<Config, Failure> {
    let em_account = sim::Options::default();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let (interval, idle) = if options.fast {
        ("150ms", "500ms")
    } else {
        ("500ms", "2s")
    };
    let database = format!("sqlite://{}", folder.join("emgate.db").display());
    // Every text goes through JSON's quoting, which TOML's basic strings share for what can occur here.
    let text = format!(
        "[server]\nlisten = {}\n\
         [upstream]\nurl = {}\ncache_ttl = \"0s\"\n\
         [[upstream.accounts]]\nname = \"demo\"\nusername = {}\npassword = {}\n\
         [[auth.keys]]\nkind = \"hs256\"\nsecret = {}\n\
         [store]\nurl = {}\n\
         [watch]\ninterval = \"{interval}\"\nidle_interval = \"{idle}\"\n\
         [webhooks]\nallow_http = true\nallow_networks = [\"127.0.0.0/8\"]\n",
        json!(listen.to_string()),
        json!(em),
        json!(em_account.user),
        json!(em_account.password),
        json!(secret),
        json!(database),
    );
    // A year of tests within seconds is more than one caller may ask for.
    let policy = format!(
        "[limits]\nrequests_per_minute = 60000\nburst = 6000\nactions_per_minute = 6000\n\
         [[policies]]\nname = \"production\"\napprovals = 1\nreason_required = true\n\
         [policies.match]\naction = \"start\"\ntenant = {}\n",
        json!(HELD_BACK)
    );
    let text = if options.keep { text + &policy } else { text };
    config::parse(&text, std::iter::empty::<(String, String)>())
        .map_err(because("the demo's own configuration is wrong"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo is a separate program, and its secrets need not be reproducible"
)]
fn random_text() -> Result<String, Failure> {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Failure::new("this machine has no random numbers"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A token as an identity provider would issue it.
fn signed(secret: &str, subject: &str) -> Result<String, Failure> {
    let now = jsonwebtoken::get_current_timestamp();
    // Without a time of issue: the gateway's clock may begin a year before it.
    let claims = json!({ "sub": subject, "scope": SCOPES, "exp": now + TOKEN_SECONDS });
    jsonwebtoken::encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .map_err(because("the demo's token could not be signed"))
}

/// A folder of the demo's own, removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    #[expect(
        clippy::disallowed_methods,
        reason = "a name that no other demo on this machine has"
    )]
    fn create() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("emgate-demo-{}", uuid::Uuid::new_v4()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(because(&format!("cannot make the folder {}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!("the demo's folder {} was not removed: {error}", self.0.display());
        }
    }
}
