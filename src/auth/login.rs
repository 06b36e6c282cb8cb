//! Logging people in at an identity provider: the code flow of OIDC with PKCE, done by the gateway
//! (docs/behaviour.md#console-login; RFC 6749 section 4.1, RFC 7636, OIDC Core section 3.1).
//!
//! The provider is one of the issuers whose tokens are accepted, and what it gives is verified by the same keys. What it says
//! beside that is not believed: endpoints are https or its own, answers are limited in time and size, redirects are not followed.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::config::{KeySource, LoginConfig, provider_url};
use super::fetch::{FetchError, Fetcher, LARGEST, SetupError, TIMEOUT, client};
use super::issuer::Issuer;
use crate::json;

/// Why nobody is logged in. Its text has nothing of what the provider sent.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The provider's own description cannot be had.
    #[error("the discovery document of the provider cannot be used")]
    Discovery(#[source] FetchError),
    /// An endpoint is missing in it, or no address to use.
    #[error("{name} of the discovery document {fault}")]
    Endpoint {
        /// The endpoint's member.
        name: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// The token endpoint cannot be reached.
    #[error("the token endpoint does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// It does not take the code.
    #[error("the token endpoint answered {status}{}", error.as_deref().map(|word| format!(" {word}")).unwrap_or_default())]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its code of RFC 6749 section 5.2.
        error: Option<String>,
    },
    /// It answers something else.
    #[error("the answer of the token endpoint has no ID token, or cannot be read")]
    NoTokens,
}

/// What is needed to ask a provider and to hold its answer against.
pub struct LoginAttempt<'a> {
    /// Where the provider sends the browser back to.
    pub redirect_uri: &'a str,
    /// What names the login there and back.
    pub state: &'a str,
    /// What the ID token has to repeat.
    pub nonce: &'a str,
    /// The secret that only who began the login can show (PKCE).
    pub verifier: &'a str,
}

/// What a provider gave for a code.
pub struct Tokens {
    /// Who logged in.
    pub id: SecretString,
    /// What they may do elsewhere.
    pub access: Option<SecretString>,
}

/// One provider that people log in at.
pub struct Login {
    config: LoginConfig,
    fetcher: Fetcher,
    client: reqwest::Client,
    discovery: Option<Url>,
}

impl Login {
    pub(super) fn new(config: &LoginConfig, issuer: &Issuer, fetcher: Fetcher) -> Result<Self, SetupError> {
        Ok(Self {
            config: config.clone(),
            fetcher,
            client: client(&issuer.config, Policy::none())?,
            discovery: match &issuer.config.keys {
                KeySource::Discovery(url) => Some(url.clone()),
                KeySource::KeySet(_) => None,
            },
        })
    }

    /// What people call the provider.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.config.name.as_deref()
    }

    /// The issuer of its tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// What the gateway is called there.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.config.client_id
    }

    /// Where the browser is sent to log in.
    ///
    /// # Errors
    /// [`LoginError::Discovery`], [`LoginError::Endpoint`].
    pub async fn address(&self, attempt: &LoginAttempt<'_>) -> Result<Url, LoginError> {
        let discovered = self.discovered().await?;
        let mut address = self.endpoint(&discovered, "authorization_endpoint")?;
        let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, attempt.verifier.as_bytes()));
        address.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.config.client_id),
            ("redirect_uri", attempt.redirect_uri),
            ("scope", &self.config.scopes),
            ("state", attempt.state),
            ("nonce", attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        Ok(address)
    }

    /// What the provider gives for a code.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn exchange(&self, code: &str, attempt: &LoginAttempt<'_>) -> Result<Tokens, LoginError> {
        let discovered = self.discovered().await?;
        let endpoint = self.endpoint(&discovered, "token_endpoint")?;
        let request = self.request(endpoint, &discovered, code, attempt);
        let unreachable = |error: reqwest::Error| LoginError::Unreachable(error.without_url());
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(LoginError::NoTokens);
            }
            body.extend_from_slice(&chunk);
        }
        let document = json::parse(json::without_mark(&body)).unwrap_or_default();
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if status != StatusCode::OK {
            return Err(LoginError::Refused {
                status,
                error: text("error").filter(|word| is_code(word)).map(ToOwned::to_owned),
            });
        }
        Ok(Tokens {
            id: text("id_token")
                .map(SecretString::from)
                .ok_or(LoginError::NoTokens)?,
            access: text("access_token").map(SecretString::from),
        })
    }

    /// The request for tokens.
    fn request(
        &self,
        endpoint: Url,
        discovered: &Value,
        code: &str,
        attempt: &LoginAttempt<'_>,
    ) -> reqwest::RequestBuilder {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", attempt.redirect_uri)
            .append_pair("code_verifier", attempt.verifier);
        let request = self.client.post(endpoint).header(ACCEPT, "application/json");
        let in_header = self
            .config
            .client_secret
            .as_ref()
            .filter(|_| takes_basic(discovered));
        let request = match in_header {
            Some(secret) => {
                let (id, secret) = (coded(&self.config.client_id), coded(secret.expose_secret()));
                request.basic_auth(id, Some(secret))
            }
            None => {
                form.append_pair("client_id", &self.config.client_id);
                if let Some(secret) = &self.config.client_secret {
                    form.append_pair("client_secret", secret.expose_secret());
                }
                request
            }
        };
        request
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.finish())
    }

    async fn discovered(&self) -> Result<Value, LoginError> {
        let Some(url) = &self.discovery else {
            return Err(LoginError::Endpoint {
                name: "authorization_endpoint",
                fault: "is not known: the issuer has no discovery document".to_owned(),
            });
        };
        let found = tokio::time::timeout(TIMEOUT, self.fetcher.discovered(url)).await;
        found
            .unwrap_or(Err(FetchError::TimedOut))
            .map_err(LoginError::Discovery)
    }

    /// An endpoint of the discovery document: over https, or beside it on this machine.
    fn endpoint(&self, discovered: &Value, name: &'static str) -> Result<Url, LoginError> {
        let refused = |fault: String| LoginError::Endpoint { name, fault };
        let text = discovered.get(name).and_then(Value::as_str);
        let url = provider_url(text.ok_or_else(|| refused("is missing".to_owned()))?).map_err(refused)?;
        let own = self
            .discovery
            .as_ref()
            .is_some_and(|discovery| discovery.origin() == url.origin());
        if url.scheme() != "https" && !own {
            return Err(refused("must begin with https://".to_owned()));
        }
        Ok(url)
    }
}

/// Whether the token endpoint takes the client's secret in a header, as it does unless it says otherwise.
fn takes_basic(discovered: &Value) -> bool {
    let methods = discovered
        .get("token_endpoint_auth_methods_supported")
        .and_then(Value::as_array);
    methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"))
}

/// Credentials of a client as they are put into a header (RFC 6749 section 2.3.1).
fn coded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

/// Whether a word is one of the codes that a provider may answer, and no place for anything else.
#[must_use]
pub fn is_code(word: &str) -> bool {
    (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
