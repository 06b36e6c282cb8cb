//! The host that a request is for: named once, or the request is refused before it is processed.
//!
//! Servers in a row that choose different hosts of one request can be exploited, so a request that names none or two is
//! refused (RFC 9112 section 3.2, RFC 9113 section 8.3.1).

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, Version};

/// Why a request does not name exactly one host. HTTP/1.0 may name none; HTTP/2 names it in `:authority`.
pub(super) fn fault(version: Version, uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => return Some("the request has more than one Host header"),
        (None, _) if version <= Version::HTTP_10 => return None,
        (None, _) if version >= Version::HTTP_2 && uri.authority().is_some() => return None,
        (None, _) => return Some("the request has no Host header"),
        (Some(host), None) => host,
    };
    if version < Version::HTTP_2 && is_plain(host.as_bytes()) {
        return None;
    }
    let Some(host) = Authority::try_from(host.as_bytes())
        .ok()
        .filter(|host| !host.host().is_empty() && !host.as_str().contains('@'))
    else {
        return Some("the Host header is not a host name or address with an optional port");
    };
    let differs = |authority: &Authority| !authority.as_str().eq_ignore_ascii_case(host.as_str());
    (version >= Version::HTTP_2 && uri.authority().is_some_and(differs))
        .then_some("the Host header names another host than :authority")
}

/// A name or an IPv4 address, with or without a port: what nearly every request has, and what needs no copy to be read.
fn is_plain(host: &[u8]) -> bool {
    let mut parts = host.splitn(2, |byte| *byte == b':');
    let name = parts.next().unwrap_or_default();
    let port = parts.next().unwrap_or(b"80");
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    !name.is_empty()
        && name.iter().all(of_name)
        && (1..=5).contains(&port.len())
        && port.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Version::HTTP_11, "/x", &["a.example"], true)]
    #[case(Version::HTTP_11, "/x", &["a-1.example:8080"], true)]
    #[case(Version::HTTP_11, "/x", &[":8080"], false)]
    #[case(Version::HTTP_11, "/x", &["[::1]:8080"], true)]
    #[case(Version::HTTP_11, "/x", &[], false)]
    #[case(Version::HTTP_11, "/x", &[""], false)]
    #[case(Version::HTTP_11, "/x", &["a b"], false)]
    #[case(Version::HTTP_11, "/x", &["a.example/x"], false)]
    #[case(Version::HTTP_11, "/x", &["user@a.example"], false)]
    #[case(Version::HTTP_11, "/x", &["a.example", "a.example"], false)]
    #[case(Version::HTTP_11, "http://a.example/x", &[], false)]
    #[case(Version::HTTP_11, "http://a.example/x", &["a.example"], true)]
    #[case(Version::HTTP_10, "/x", &[], true)]
    #[case(Version::HTTP_10, "/x", &["a.example", "a.example"], false)]
    #[case(Version::HTTP_2, "https://a.example/x", &[], true)]
    #[case(Version::HTTP_2, "https://a.example/x", &["A.example"], true)]
    #[case(Version::HTTP_2, "https://a.example/x", &["b.example"], false)]
    #[case(Version::HTTP_2, "https://a.example/x", &["a.example", "a.example"], false)]
    #[case(Version::HTTP_2, "/x", &["a.example"], true)]
    #[case(Version::HTTP_2, "/x", &[], false)]
    fn a_request_names_one_host(
        #[case] version: Version,
        #[case] uri: &str,
        #[case] hosts: &[&str],
        #[case] passes: bool,
    ) {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().expect("a header value"));
        }
        let uri: Uri = uri.parse().expect("a URI");
        assert_eq!(fault(version, &uri, &headers).is_none(), passes);
    }
}
