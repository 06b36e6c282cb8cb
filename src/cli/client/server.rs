//! The gateway that a command speaks to: its address, the token, and requests with what may be repeated of them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::exit;
use crate::bootstrap;
use crate::cli::{Failure, say};

/// The longest time for one request, a wait that the gateway was asked for included.
const REQUEST_LIMIT: Duration = Duration::from_secs(90);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long to rest before a request is repeated, where the gateway does not say.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a request is repeated that fails for a passing reason.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which gateway, and as whom.
#[derive(clap::Args, Clone, Debug)]
pub struct ServerArgs {
    /// The gateway's address
    #[arg(
        long,
        value_name = "URL",
        env = "EMGATE_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: String,
    /// The token; better in the environment or a file than on the command line
    #[arg(long, value_name = "JWT", env = "EMGATE_TOKEN", hide_env_values = true)]
    pub token: Option<SecretString>,
    /// A file with the token, which goes before --token; it is read again for every request, so that it may be renewed
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A file with certificates (PEM) that the gateway's may come from, beside those that the system trusts
    #[arg(long, value_name = "FILE", env = "EMGATE_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A gateway that is spoken to.
pub(super) struct Server {
    http: reqwest::Client,
    base: String,
    token: Token,
    /// Whether it has answered anything.
    answered: AtomicBool,
    pub(super) json: bool,
}

enum Token {
    Given(SecretString),
    File(PathBuf),
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    retry_after: Option<Duration>,
}

/// How Enterprise Manager is to the gateway.
pub(super) enum Upstream {
    Answers,
    /// It does not answer, since that moment where it is known.
    Away {
        since: Option<String>,
    },
}

/// What a request came to.
pub(super) enum Outcome {
    Answered(Answer),
    /// There was no answer; whether the gateway acted is not known.
    Lost(reqwest::Error),
}

/// The address that paths follow, also where somebody gives that of the API.
pub(in crate::cli) fn base(server: &str) -> &str {
    let server = server.trim_end_matches('/');
    let base = server.strip_suffix("/api/v1").unwrap_or(server);
    base.trim_end_matches('/')
}

impl Server {
    /// # Errors
    /// When there is no token, the address is none, or the file of certificates holds none.
    pub(super) fn new(args: &ServerArgs) -> Result<Self, Failure> {
        let given = args.token.as_ref();
        let given = given.filter(|token| !token.expose_secret().trim().is_empty());
        let token = match (&args.token_file, given) {
            (Some(file), _) => Token::File(file.clone()),
            (None, Some(token)) => Token::Given(token.clone()),
            (None, None) => {
                return Err(Failure::usage("there is no token").hint(
                    "give one by EMGATE_TOKEN, --token-file or --token; `emgate token` signs one for a test",
                ));
            }
        };
        let url = reqwest::Url::parse(&args.server).ok();
        if url.is_none_or(|url| !matches!(url.scheme(), "http" | "https")) {
            let message = format!("--server `{}` is no address", args.server);
            return Err(Failure::usage(message).hint("for example --server https://dr.example.com"));
        }
        bootstrap::install_tls_provider();
        let authorities = args.ca_file.as_deref().map(authorities).transpose()?;
        let http = reqwest::Client::builder()
            .tls_certs_merge(authorities.unwrap_or_default())
            .connect_timeout(CONNECT_LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("emgate-cli/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::caused_by(&error))?;
        Ok(Self {
            http,
            base: base(&args.server).to_owned(),
            token,
            answered: AtomicBool::new(false),
            json: args.json,
        })
    }

    /// A request with the token, without a time limit.
    ///
    /// # Errors
    /// When the token's file cannot be read.
    pub(super) fn request(&self, method: Method, path: &str) -> Result<reqwest::RequestBuilder, Failure> {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.base));
        Ok(match &self.token {
            Token::Given(token) => request.bearer_auth(token.expose_secret().trim()),
            Token::File(file) => {
                let text = std::fs::read_to_string(file).map(SecretString::from);
                let text = text.map_err(|error| {
                    Failure::usage(format!("cannot read the token in {}: {error}", file.display()))
                })?;
                request.bearer_auth(text.expose_secret().trim())
            }
        })
    }

    /// Asks once.
    ///
    /// # Errors
    /// When the token's file cannot be read.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        prepare: impl Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Outcome, Failure> {
        let request = prepare(self.request(method, path)?.timeout(REQUEST_LIMIT));
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Ok(Outcome::Lost(error)),
        };
        self.answered.store(true, Ordering::Relaxed);
        let status = answer.status();
        let seconds = answer.headers().get("retry-after");
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(match answer.text().await {
            Ok(text) => Outcome::Answered(Answer {
                status,
                body: serde_json::from_str(&text).unwrap_or_default(),
                retry_after: seconds.map(Duration::from_secs),
            }),
            Err(error) => Outcome::Lost(error),
        })
    }

    /// Asks again while the reason to fail may pass, until `deadline`. For what may be repeated: reads, and actions under an
    /// idempotency key. A gateway that cannot be reached and never answered this command is not waited for.
    ///
    /// # Errors
    /// What the gateway refuses, or that it does not answer.
    pub(super) async fn persist(
        &self,
        method: Method,
        path: &str,
        deadline: Instant,
        prepare: impl Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Answer, Failure> {
        let mut told = String::new();
        loop {
            let (failure, pause) = match self.ask(method.clone(), path, &prepare).await? {
                Outcome::Answered(answer) if answer.status.is_success() => return Ok(answer),
                Outcome::Answered(answer) if passes(answer.status) => (answer.refusal(), answer.retry_after),
                Outcome::Answered(answer) => return Err(answer.refusal()),
                Outcome::Lost(error) if error.is_connect() && !self.answered.load(Ordering::Relaxed) => {
                    return Err(self.unreachable(&error));
                }
                Outcome::Lost(error) => (self.unreachable(&error), None),
            };
            let pause = pause.unwrap_or(PAUSE);
            if Instant::now() + pause >= deadline {
                return Err(failure);
            }
            // Each reason once: whoever looks on learns what is waited for, and no log is filled with it.
            if failure.message != told {
                say(&format!("{}; the request is repeated", failure.message));
                told = failure.message;
            }
            sleep(pause).await;
        }
    }

    /// How Enterprise Manager is to the gateway; none when the gateway does not say.
    pub(super) async fn upstream(&self) -> Option<Upstream> {
        let asked = self
            .http
            .get(format!("{}/readyz", self.base))
            .timeout(CONNECT_LIMIT);
        let text = asked.send().await.ok()?.text().await.ok()?;
        let readiness: Value = serde_json::from_str(&text).ok()?;
        let mut checks = readiness.get("checks")?.as_array()?.iter();
        let check = checks.find(|check| check.get("name").is_some_and(|name| name == "upstream"))?;
        let since = check.get("since").and_then(Value::as_str);
        Some(match check.get("status")?.as_str()? {
            "ok" => Upstream::Answers,
            _ => Upstream::Away {
                since: since.map(ToOwned::to_owned),
            },
        })
    }

    /// Reads.
    ///
    /// # Errors
    /// What the gateway refuses, or that it does not answer.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let answer = self
            .persist(Method::GET, path, deadline, |request| request)
            .await?;
        Ok(answer.body)
    }

    /// The items of all pages of a list.
    ///
    /// # Errors
    /// What the gateway refuses, or that it does not answer.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut query = "pageSize=100".to_owned();
        loop {
            let mut page = self.get(&format!("{path}?{query}")).await?;
            if let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) {
                items.extend(found);
            }
            // The gateway may call itself by another address than this one.
            let next = page.pointer("/page/next").and_then(Value::as_str);
            match next.and_then(|next| next.split_once('?')) {
                Some((_, more)) => more.clone_into(&mut query),
                None => return Ok(items),
            }
        }
    }

    pub(super) fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let cause = error_text(error);
        let hint = if cause.contains("CaUsedAsEndEntity") {
            "the gateway serves the certificate of an authority (CA:TRUE) as its own; let the authority sign one for it"
        } else if cause.contains("certificate") {
            "--ca-file or EMGATE_CA_FILE names the file of the authority that the gateway's certificate comes from"
        } else if cause.contains("InvalidContentType") {
            "nothing speaks TLS there: if the gateway has none, its address begins with http://"
        } else {
            "is the gateway running there? --server or EMGATE_SERVER names another"
        };
        Failure::new(format!("{} does not answer: {cause}", self.base)).hint(hint)
    }
}

/// The certificates of a file.
fn authorities(file: &Path) -> Result<Vec<reqwest::Certificate>, Failure> {
    let pem = std::fs::read(file)
        .map_err(|error| Failure::usage(format!("cannot read --ca-file {}: {error}", file.display())))?;
    let found = reqwest::Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if found.is_empty() {
        return Err(
            Failure::usage(format!("--ca-file {} holds no certificate", file.display()))
                .hint("it is PEM: lines between BEGIN CERTIFICATE and END CERTIFICATE"),
        );
    }
    Ok(found)
}

impl Answer {
    /// What the gateway says against a request.
    pub(super) fn refusal(&self) -> Failure {
        let text = |name: &str| self.body.get(name).and_then(Value::as_str);
        let detail = text("detail").map_or_else(|| format!("status {}", self.status), ToOwned::to_owned);
        let mut failure = Failure::new(match text("code") {
            Some(code) => format!("{detail} ({code})"),
            None => detail,
        });
        if self.status.is_client_error() && self.status != StatusCode::NOT_FOUND {
            failure.exit = Some(exit::REFUSED);
        }
        match text("operationId") {
            Some(id) => failure.hint(format!("emgate operation show {id}")),
            None => failure,
        }
    }
}

/// Whether what a request failed for may pass by itself.
fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
}

/// The innermost cause, which says what happened; the layers above repeat the address.
pub(super) fn error_text(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://dr.example")]
    #[case("https://dr.example/")]
    #[case("https://dr.example/api/v1")]
    #[case("https://dr.example/api/v1/")]
    fn the_address_of_the_api_is_that_of_the_gateway(#[case] server: &str) {
        assert_eq!(base(server), "https://dr.example");
    }
}
