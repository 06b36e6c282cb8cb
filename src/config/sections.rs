//! Section by section: which keys there are, their defaults and bounds, and what must fit together.
//!
//! Bounds refuse mistakes (a wait of 0, a body of a terabyte), not preferences. A fault never stops the reading: a
//! refused key has its default, and the configuration is discarded at the end.

use std::{collections::BTreeSet, net::SocketAddr, num::NonZeroU32, ops::Not as _, time::Duration};

use base64::{Engine as _, engine::general_purpose};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Config, Table, auth,
    certificates::certificates,
    policies,
    reader::{Report, Section, bounded},
    values,
};
use crate::{
    app::config::{Objectives, ReportTemplate, Reports},
    auth::config::{AuthConfig, KeySource, LoginConfig},
    http::config::{Config as Server, Console, Limits, Metrics, TlsConfig},
    store::config::{Config as Store, Database, Retention},
    upstream::config::{Account, Config as Upstream},
    watcher::config::Config as Watch,
    webhooks::config::Config as Webhooks,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const CENTURY: Duration = Duration::from_hours(24 * 365 * 100);
const KIB: u64 = 1024;
const GIB: u64 = 1024 * 1024 * 1024;

/// The whole configuration; `None` or a fault in the report when it is not usable.
pub(super) fn config(table: Table, report: &Report) -> Option<Config> {
    let mut root = Section::root(table, report);
    let mut server = server(root.section("server"));
    server.limits = limits(root.section("limits"));
    server.metrics = metrics(root.section("metrics"), server.listen);
    let upstream = upstream(root.section("upstream"));
    let mut auth = auth::read(root.section("auth"));
    (server.console, auth.login) = console(root.section("console"), &auth);
    let store = store(root.section("store"));
    let retention = retention(root.section("retention"));
    let watch = watch(root.section("watch"));
    let webhooks = webhooks(root.section("webhooks"));
    let policies = policies::read(root.sections("policies"));
    let reports = reports(root.section("reports"));
    root.finish();
    Some(Config {
        server,
        upstream: upstream?,
        auth,
        store,
        retention,
        watch,
        webhooks,
        policies,
        reports,
    })
}

fn server(mut s: Section<'_>) -> Server {
    let default = Server::default();
    let config = Server {
        listen: s.parsed("listen", address).unwrap_or(default.listen),
        request_timeout: s.duration("request_timeout", default.request_timeout, SECOND, HOUR),
        idle_timeout: s.duration("idle_timeout", default.idle_timeout, SECOND, DAY),
        head_timeout: default.head_timeout,
        max_body: s.bytes("max_body", default.max_body, KIB, GIB),
        cors_origins: s
            .list("cors_origins", values::origin)
            .unwrap_or(default.cors_origins),
        public_url: s.parsed("public_url", values::base_url),
        trusted_proxies: s
            .list("trusted_proxies", values::network)
            .unwrap_or(default.trusted_proxies),
        tls: tls(s.has("tls"), s.section("tls")),
        limits: default.limits,
        console: default.console,
        metrics: default.metrics,
        shown: default.shown,
    };
    s.finish();
    config
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is not an address with a port, such as \"0.0.0.0:8080\" or \"[::]:8080\"")
    })
}

fn tls(given: bool, mut s: Section<'_>) -> Option<TlsConfig> {
    let (cert_file, key_file) = (s.path("cert_file"), s.path("key_file"));
    let client_ca_file = s.path("client_ca_file");
    let mut tls = None;
    if given {
        let cert_file = s.required("cert_file", cert_file);
        let key_file = s.required("key_file", key_file);
        if let Some(file) = &cert_file {
            certificates(&s, "cert_file", file);
        }
        if let Some(content) = key_file.as_deref().and_then(|file| s.file("key_file", file))
            && PrivateKeyDer::from_pem_slice(&content).is_err()
        {
            s.fault("key_file", "names a file without a private key in PEM");
        }
        if let Some(file) = &client_ca_file {
            certificates(&s, "client_ca_file", file);
        }
        tls = cert_file.zip(key_file).map(|(cert_file, key_file)| TlsConfig {
            cert_file,
            key_file,
            client_ca_file,
        });
    }
    s.finish();
    tls
}

fn limits(mut s: Section<'_>) -> Limits {
    let default = Limits::default();
    let mut rate = |key, default: NonZeroU32| {
        let known = usize::try_from(default.get()).unwrap_or(usize::MAX);
        let count = u32::try_from(s.count(key, known, 1, 1_000_000)).ok();
        count.and_then(NonZeroU32::new).unwrap_or(default)
    };
    let limits = Limits {
        requests_per_minute: rate("requests_per_minute", default.requests_per_minute),
        burst: rate("burst", default.burst),
        anonymous_per_minute: rate("anonymous_per_minute", default.anonymous_per_minute),
        actions_per_minute: rate("actions_per_minute", default.actions_per_minute),
        streams: s.count("streams", default.streams, 1, 10_000),
        endpoints: s.count("endpoints", default.endpoints, 1, 10_000),
    };
    s.finish();
    limits
}

fn metrics(mut s: Section<'_>, of_callers: SocketAddr) -> Metrics {
    let metrics = Metrics {
        per_plan: s.boolean("per_plan", Metrics::default().per_plan),
        listen: s.parsed("listen", address),
        token: s.secret("token", "token_file"),
    };
    if metrics
        .listen
        .is_some_and(|own| own == of_callers && own.port() != 0)
    {
        s.fault(
            "listen",
            "is `server.listen` as well; metrics need a port of their own",
        );
    }
    if let Some(token) = &metrics.token {
        if metrics.listen.is_none() && !s.is_faulty("listen") {
            s.fault(
                "token",
                "is for the listener of `metrics.listen`, which is not set",
            );
        }
        if !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
            s.fault(
                "token",
                "has characters that no bearer token has; use visible ASCII without blanks",
            );
        }
    }
    s.finish();
    metrics
}

fn console(mut s: Section<'_>, auth: &AuthConfig) -> (Console, Option<LoginConfig>) {
    let default = Console::default();
    let console = Console {
        enabled: s.boolean("enabled", default.enabled),
    };
    let login = login(s.has("oidc"), s.section("oidc"), auth);
    s.finish();
    (console, login)
}

/// Where people log in to the console: at an issuer whose tokens are accepted and which says where.
fn login(given: bool, mut s: Section<'_>, auth: &AuthConfig) -> Option<LoginConfig> {
    let (issuer, client_id) = (s.text("issuer"), s.text("client_id"));
    let client_secret = s.secret("client_secret", "client_secret_file");
    let scopes = s.text("scopes").unwrap_or_else(|| "openid".to_owned());
    let name = s.text("name");
    let mut login = None;
    if given {
        let issuer = s.required("issuer", issuer);
        let client_id = s.required("client_id", client_id);
        if let Some(issuer) = &issuer {
            match auth.issuers.iter().find(|known| known.issuer == *issuer) {
                None => s.fault(
                    "issuer",
                    &format!("`{issuer}` is not the issuer of an `[[auth.issuers]]`"),
                ),
                Some(known) if matches!(known.keys, KeySource::KeySet(_)) => {
                    s.fault(
                        "issuer",
                        "has a jwks_url; people log in where a discovery document says",
                    );
                }
                Some(_) => {}
            }
        }
        if !scopes.split(' ').any(|scope| scope == "openid") {
            s.fault("scopes", "lacks `openid`");
        }
        login = issuer.zip(client_id).map(|(issuer, client_id)| LoginConfig {
            issuer,
            client_id,
            client_secret,
            scopes,
            name,
        });
    }
    s.finish();
    login
}

fn upstream(mut s: Section<'_>) -> Option<Upstream> {
    let url = s.parsed("url", values::em_url);
    let url = s.required("url", url);
    let ca_pem = s
        .path("ca_file")
        .and_then(|file| certificates(&s, "ca_file", &file));
    let pin_sha256 = s.list("pin_sha256", values::sha256).unwrap_or_default();
    let accept_invalid_certs = s.boolean("accept_invalid_certs", false);
    if accept_invalid_certs && !pin_sha256.is_empty() {
        s.fault("accept_invalid_certs", "contradicts `pin_sha256`; keep the pin");
    }
    let accounts = accounts(&mut s);
    let default = Upstream::new(values::em_url("https://em.example").ok()?, Vec::new());
    let config = Upstream {
        url: url.unwrap_or(default.url),
        ca_pem,
        pin_sha256,
        accept_invalid_certs,
        request_timeout: s.duration("request_timeout", default.request_timeout, 10 * MS, HOUR),
        connect_timeout: s.duration("connect_timeout", default.connect_timeout, 10 * MS, HOUR),
        max_response: s.bytes("max_response", default.max_response, KIB, GIB),
        coalesce: s.boolean("coalesce", default.coalesce),
        cache_ttl: s.duration("cache_ttl", default.cache_ttl, Duration::ZERO, HOUR),
        unknown_after: s.duration("unknown_after", default.unknown_after, 10 * MS, DAY),
        links: default.links,
        accounts,
    };
    s.finish();
    Some(config)
}

fn accounts(s: &mut Section<'_>) -> Vec<Account> {
    let mut accounts = Vec::new();
    let (mut names, mut tenants) = (BTreeSet::new(), BTreeSet::new());
    for mut item in s.sections("accounts") {
        let name = item.text("name");
        let name = item.required("name", name);
        let username = item.text("username");
        let username = item.required("username", username);
        let password = item.secret_and_file("password", "password_file");
        let (password, password_file) = item.required("password", password).unwrap_or_default();
        if let Some(name) = &name
            && !names.insert(name.to_lowercase())
        {
            item.fault("name", &format!("`{name}` is used by another account"));
        }
        let tenant = item.text("tenant");
        check_tenant(&mut item, tenant.as_deref(), &mut tenants, accounts.is_empty());
        let default = Account::new("", "", SecretString::default());
        accounts.push(Account {
            name: name.unwrap_or_default(),
            username: username.unwrap_or_default(),
            password,
            password_file,
            max_sessions: item.count("max_sessions", default.max_sessions, 1, 100),
            max_requests_per_session: item.count(
                "max_requests_per_session",
                default.max_requests_per_session,
                1,
                1000,
            ),
            tenant,
        });
        item.finish();
    }
    if accounts.is_empty() && !s.is_faulty("accounts") {
        s.fault(
            "accounts",
            "is empty; at least one `[[upstream.accounts]]` is needed",
        );
    }
    accounts
}

/// The first account observes everything and serves everybody, each other one the callers of its tenant.
fn check_tenant(item: &mut Section<'_>, tenant: Option<&str>, tenants: &mut BTreeSet<String>, first: bool) {
    match tenant {
        None if first => {}
        None => item.fault(
            "tenant",
            "is needed for every account but the first: one account serves all callers whose tenant has none",
        ),
        Some(_) if first => item.fault(
            "tenant",
            "is not for the first account, which observes the failovers of all tenants; put another account before it",
        ),
        Some(tenant) if tenant.trim().is_empty() => item.fault("tenant", "is empty"),
        Some(tenant) => {
            if !tenants.insert(tenant.to_lowercase()) {
                item.fault("tenant", &format!("`{tenant}` has another account already"));
            }
        }
    }
}

fn store(mut s: Section<'_>) -> Store {
    let default = Store::default();
    let url = s.parsed("url", store_url);
    let encryption_key_file = s.path("encryption_key_file");
    let shared = url
        .as_deref()
        .is_some_and(|url| Database::parse(url) == Ok(Database::Server));
    if shared && encryption_key_file.is_none() && !s.is_faulty("encryption_key_file") {
        let message =
            "is needed with PostgreSQL, the same for every replica; `openssl rand -base64 32` makes one";
        s.fault("encryption_key_file", message);
    }
    let content = encryption_key_file
        .as_ref()
        .and_then(|file| s.file_text("encryption_key_file", file));
    if content.is_some_and(|text| {
        let bytes = general_purpose::STANDARD.decode(text.trim());
        bytes.is_ok_and(|bytes| bytes.len() == 32).not()
    }) {
        let message = "must hold 32 bytes in base64; `openssl rand -base64 32` makes some";
        s.fault("encryption_key_file", message);
    }
    s.finish();
    Store {
        url: url.unwrap_or(default.url),
        encryption_key_file,
    }
}

/// The text itself is never repeated in a fault: it may carry a password.
fn store_url(text: &str) -> Result<String, String> {
    match Database::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(fault) => Err(fault.to_owned()),
    }
}

fn retention(mut s: Section<'_>) -> Retention {
    let default = Retention::default();
    let retention = Retention {
        events: s.duration("events", default.events, HOUR, CENTURY),
        deliveries: s.duration("deliveries", default.deliveries, HOUR, CENTURY),
        operations: s.duration("operations", default.operations, DAY, CENTURY),
        audit: s.duration("audit", default.audit, DAY, CENTURY),
        reports: s.duration("reports", default.reports, DAY, CENTURY),
    };
    s.finish();
    retention
}

fn reports(mut s: Section<'_>) -> Reports {
    let mut objectives = s.section("objectives");
    let seconds = |text: &str| {
        let whole = bounded(text, SECOND, CENTURY)?.as_secs();
        u32::try_from(whole).map_err(|_| "is too long".to_owned())
    };
    let days = |text: &str| {
        let whole = bounded(text, DAY, CENTURY)?.as_secs() / DAY.as_secs();
        u32::try_from(whole).map_err(|_| "is too long".to_owned())
    };
    let defaults = Objectives {
        rto_seconds: objectives.parsed("rto", seconds),
        rpo_seconds: objectives.parsed("rpo", seconds),
        test_every_days: objectives.parsed("test_every", days),
        owner: objectives.text("owner"),
        criticality: objectives.text("criticality"),
        bia_reference: objectives.text("bia_reference"),
        ..Objectives::default()
    };
    objectives.finish();
    let template = s.path("template_file").and_then(|file| {
        let text = s.file_text("template_file", &file)?;
        match ReportTemplate::parse(text) {
            Ok(template) => Some(template),
            Err(fault) => {
                s.fault(
                    "template_file",
                    &format!("names a template that cannot be read: {fault}"),
                );
                None
            }
        }
    });
    s.finish();
    Reports {
        template,
        objectives: defaults,
    }
}

fn watch(mut s: Section<'_>) -> Watch {
    let default = Watch::default();
    let config = Watch {
        interval: s.duration("interval", default.interval, 10 * MS, HOUR),
        idle_interval: s.duration("idle_interval", default.idle_interval, 10 * MS, HOUR),
    };
    s.finish();
    config
}

fn webhooks(mut s: Section<'_>) -> Webhooks {
    let default = Webhooks::default();
    let pause = |text: &str| bounded(text, MS, 7 * DAY);
    let config = Webhooks {
        allow_networks: s
            .list("allow_networks", values::network)
            .unwrap_or(default.allow_networks),
        allow_private_networks: s.boolean("allow_private_networks", default.allow_private_networks),
        allow_http: s.boolean("allow_http", default.allow_http),
        timeout: s.duration("timeout", default.timeout, 10 * MS, HOUR),
        max_timeout: s.duration("max_timeout", default.max_timeout, SECOND, MINUTE),
        proxy: s.parsed("proxy", Webhooks::proxy_from),
        retry_schedule: s.list("retry_schedule", pause).unwrap_or(default.retry_schedule),
        links: default.links,
    };
    if config.retry_schedule.is_empty() && !s.is_faulty("retry_schedule") {
        s.fault("retry_schedule", "is empty; leave it out for the default");
    }
    s.finish();
    config
}
