//! Where a request with the console's cookie comes from: the gateway's own page, or another site; and whether that page came
//! over a connection that browsers send the cookie on.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use url::{Host, Url};

use crate::http::HttpState;

/// The page that sent a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// One of the gateway; whether browsers send its cookie there.
    Own { is_safe: bool },
    /// None that is named, as programs are none.
    Unnamed { is_safe: bool },
    /// One of somebody else.
    Other,
}

/// The page that sent a request, by its header `Origin`.
pub(super) fn site(state: &HttpState, uri: &Uri, headers: &HeaderMap) -> Site {
    let host = host(uri, headers).unwrap_or_default();
    let public = state.config().public_url.as_ref();
    let tls = state.config().tls.is_some();
    match headers.get(ORIGIN) {
        None => Site::Unnamed {
            is_safe: tls || is_loopback(host) || public.is_some_and(|url| url.scheme() == "https"),
        },
        Some(origin) => origin
            .to_str()
            .map_or(Site::Other, |origin| judged(origin, host, public, tls)),
    }
}

/// Where browsers reach the gateway, without a slash at its end; none where they would not send its cookie there.
pub(super) fn own_address(state: &HttpState, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    if let Some(public) = state.links().base() {
        let url = Url::parse(public).ok()?;
        let is_safe = url.scheme() == "https" || url.host_str().is_some_and(is_loopback);
        return is_safe.then(|| public.to_owned());
    }
    let host = host(uri, headers)?;
    match state.config().tls {
        Some(_) => Some(format!("https://{host}")),
        None => is_loopback(host).then(|| format!("http://{host}")),
    }
}

/// The host that a request is for.
fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let named = headers.get(HOST).and_then(|host| host.to_str().ok());
    uri.authority().map(axum::http::uri::Authority::as_str).or(named)
}

/// The gateway's page is at the public URL, or at the host that the request is for: browsers send no cookie to another.
fn judged(origin: &str, host: &str, public: Option<&Url>, tls: bool) -> Site {
    let is_public = public.is_some_and(|url| url.origin().ascii_serialization() == origin);
    let Some((scheme, authority)) = origin.split_once("://") else {
        return Site::Other;
    };
    let is_host = !authority.is_empty() && authority.eq_ignore_ascii_case(host);
    let is_safe = scheme == "https" || is_loopback(authority);
    match scheme {
        "https" | "http" if is_public => Site::Own { is_safe },
        "https" if is_host => Site::Own { is_safe },
        // A page over plain HTTP beside TLS is another site, which anybody on the way may have written.
        "http" if is_host && !tls => Site::Own { is_safe },
        _ => Site::Other,
    }
}

/// Whether a host with an optional port is this machine by its name or address.
fn is_loopback(authority: &str) -> bool {
    let url = Url::parse(&format!("http://{authority}/"));
    match url.as_ref().ok().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SAFE: Site = Site::Own { is_safe: true };
    const UNSAFE: Site = Site::Own { is_safe: false };

    #[rstest]
    #[case::own_host("https://gw.example", "gw.example", None, false, SAFE)]
    #[case::own_host_in_another_case("https://gw.example", "GW.example", None, false, SAFE)]
    #[case::own_host_with_port("https://gw.example:8443", "gw.example:8443", None, true, SAFE)]
    #[case::another_port("https://gw.example:8444", "gw.example:8443", None, true, Site::Other)]
    #[case::another_host("https://evil.example", "gw.example", None, false, Site::Other)]
    #[case::a_host_below("https://evil.gw.example", "gw.example", None, false, Site::Other)]
    #[case::no_origin_at_all("null", "gw.example", None, false, Site::Other)]
    #[case::nothing("https://", "", None, false, Site::Other)]
    #[case::another_scheme("file://gw.example", "gw.example", None, false, Site::Other)]
    #[case::plain("http://gw.example:8080", "gw.example:8080", None, false, UNSAFE)]
    #[case::plain_beside_tls("http://gw.example", "gw.example", None, true, Site::Other)]
    #[case::this_machine("http://localhost:8080", "localhost:8080", None, false, SAFE)]
    #[case::this_machine_by_address("http://127.0.0.1:8080", "127.0.0.1:8080", None, false, SAFE)]
    #[case::this_machine_by_ipv6("http://[::1]:8080", "[::1]:8080", None, false, SAFE)]
    #[case::of_a_proxy(
        "https://dr.example",
        "emgate:8080",
        Some("https://dr.example/emgate/"),
        false,
        SAFE
    )]
    #[case::of_a_proxy_without_its_address("https://dr.example", "emgate:8080", None, false, Site::Other)]
    #[case::looks_local(
        "http://localhost.evil.example",
        "localhost.evil.example",
        None,
        false,
        UNSAFE
    )]
    fn the_page_of_a_request_is_judged_by_its_origin(
        #[case] origin: &str,
        #[case] host: &str,
        #[case] public: Option<&str>,
        #[case] tls: bool,
        #[case] expected: Site,
    ) {
        let public = public.map(|url| url.parse().expect("a URL"));
        assert_eq!(judged(origin, host, public.as_ref(), tls), expected);
    }
}
