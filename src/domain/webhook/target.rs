//! Where a webhook may point, as far as the text of its URL shows; the addresses behind the name are checked when
//! they are dialled.

use std::fmt;

use url::{Host, Url};

use super::Format;

/// The longest URL that is accepted.
pub const URL_LIMIT: usize = 2048;

/// What is shown instead of a secret.
pub const MASK: &str = "***";

/// The URL of a receiver. It may be a credential, so its `Debug` text is masked.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetUrl(Url);

impl TargetUrl {
    /// Reads a URL as WHATWG's standard does, so that every spelling of an address becomes the one that is dialled.
    ///
    /// # Errors
    /// What is wrong with it, for people; the text itself is never repeated.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, &'static str> {
        if text.len() > URL_LIMIT {
            return Err("the URL is longer than 2048 characters");
        }
        if text
            .chars()
            .any(|letter| letter.is_whitespace() || letter.is_control())
        {
            return Err("the URL contains spaces or control characters");
        }
        let url = Url::parse(text).map_err(|_| "this is not a URL such as https://receiver.example/hook")?;
        match url.scheme() {
            "https" => {}
            "http" if allow_http => {}
            "http" => return Err("the URL must begin with https:// (webhooks.allow_http is off)"),
            _ if allow_http => return Err("the URL must begin with https:// or http://"),
            _ => return Err("the URL must begin with https://"),
        }
        if url.host().is_none() {
            return Err("the URL names no host");
        }
        if url.port() == Some(0) {
            return Err("port 0 cannot be reached");
        }
        if url.fragment().is_some() {
            return Err("the URL has a fragment (#...), which is never sent; leave it out");
        }
        Ok(Self(url))
    }

    /// A URL that was checked before it was stored.
    #[must_use]
    pub fn stored(text: &str) -> Option<Self> {
        Url::parse(text).ok().filter(|url| url.host().is_some()).map(Self)
    }

    /// The whole URL, credentials included.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// The host, a literal address already decoded.
    #[must_use]
    pub fn host(&self) -> Host<&str> {
        // Checked when it was made.
        self.0.host().unwrap_or(Host::Domain(""))
    }

    /// The port, the scheme's own when none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// Whether it is reached by TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// User and password, percent-decoding left to the caller.
    #[must_use]
    pub fn userinfo(&self) -> Option<(&str, &str)> {
        let (user, password) = (self.0.username(), self.0.password());
        (!user.is_empty() || password.is_some()).then(|| (user, password.unwrap_or_default()))
    }

    /// The same with a parameter in its query, unless it has that already.
    #[must_use]
    pub fn with_parameter(&self, name: &str, value: &str) -> Self {
        let mut url = self.0.clone();
        if !url.query_pairs().any(|(known, _)| known == name) {
            url.query_pairs_mut().append_pair(name, value);
        }
        Self(url)
    }

    /// Scheme, host and port: what may always be shown.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The URL as it is shown: without user and password, the query's values masked; of a chat service's URL, which is
    /// a credential as a whole, the origin alone.
    #[must_use]
    pub fn shown(&self, format: Format) -> String {
        let origin = self.origin();
        if format.url_is_credential() {
            return format!("{origin}/{MASK}");
        }
        let rest = origin.split_once("://").map_or("", |(_, rest)| rest);
        let user = if self.userinfo().is_some() { "***@" } else { "" };
        let query = self.0.query().map_or_else(String::new, |query| {
            let parts: Vec<String> = query
                .split('&')
                .map(|part| {
                    part.split_once('=')
                        .map_or_else(|| MASK.into(), |(name, _)| format!("{name}={MASK}"))
                })
                .collect();
            format!("?{}", parts.join("&"))
        });
        format!("{}://{user}{rest}{}{query}", self.0.scheme(), self.0.path())
    }
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(Format::Standard))
    }
}

/// A `Location` header as it may be recorded: where to, without credentials.
#[must_use]
pub fn shown_location(base: &TargetUrl, location: &str) -> String {
    base.url()
        .join(location)
        .ok()
        .filter(|url| url.host().is_some())
        .map_or_else(|| MASK.to_owned(), |url| TargetUrl(url).shown(Format::Standard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_a_url_are_never_shown() {
        for (url, format, shown) in [
            (
                "https://r.example/hook",
                Format::Standard,
                "https://r.example/hook",
            ),
            (
                "https://r.example:8443",
                Format::Standard,
                "https://r.example:8443/",
            ),
            (
                "https://u:p@r.example/a?k=v&w",
                Format::Standard,
                "https://***@r.example/a?k=***&***",
            ),
            (
                "https://token@r.example/",
                Format::Standard,
                "https://***@r.example/",
            ),
            (
                "https://r.example/services/T0/B0/xyz",
                Format::Slack,
                "https://r.example/***",
            ),
        ] {
            let target = TargetUrl::parse(url, false).expect("accepted");
            assert_eq!(target.shown(format), shown);
            assert!(!format!("{target:?}").contains("token"), "{target:?}");
        }
    }

    #[test]
    fn what_is_not_a_plain_https_url_is_refused() {
        let long = format!("https://r.example/{}", "a".repeat(URL_LIMIT));
        for text in [
            "",
            "r.example/hook",
            "http://r.example/",
            "ftp://r.example/",
            "file:///etc/passwd",
            "gopher://r.example/",
            "https://",
            "https:///",
            "https://r.example:0/",
            "https://r.example:99999/",
            "https://r.example/#part",
            "https://r.example/a b",
            "https://r.example/\r\nx: y",
            " https://r.example/",
            "https://[::1/",
            "javascript:alert(1)",
            &long,
        ] {
            assert!(TargetUrl::parse(text, false).is_err(), "{text}");
        }
        assert!(TargetUrl::parse("http://r.example/", true).is_ok());
    }

    #[test]
    fn odd_spellings_of_an_address_become_that_address() {
        for text in [
            "https://0x7f.1/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://127.1./",
            "https://①27.0.0.1/",
        ] {
            let target = TargetUrl::parse(text, false).expect("a URL");
            assert_eq!(
                target.host(),
                Host::<&str>::Ipv4("127.0.0.1".parse().expect("an address")),
                "{text}"
            );
        }
    }

    #[test]
    fn a_redirect_is_recorded_without_its_credentials() {
        let base = TargetUrl::parse("https://r.example/hook", false).expect("a URL");
        assert_eq!(
            shown_location(&base, "/other?x=1"),
            "https://r.example/other?x=***"
        );
        assert_eq!(
            shown_location(&base, "http://a:b@c.example/"),
            "http://***@c.example/"
        );
        assert_eq!(shown_location(&base, "mailto:x@y.example"), MASK);
    }
}
