//! The request as it goes over the wire: its line, and the headers that no one else sets.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri, header};
use http_body_util::Full;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use crate::domain::webhook::target::TargetUrl;

/// A request to a receiver; none where its URL cannot be asked for.
pub(super) fn request(
    method: Method,
    target: &TargetUrl,
    headers: HeaderMap,
    body: Bytes,
) -> Option<Request<Full<Bytes>>> {
    let url = target.url();
    let mut host = url.host_str()?.to_owned();
    if let Some(port) = url.port() {
        host.push_str(&format!(":{port}"));
    }
    let mut request = Request::builder()
        .method(method)
        .uri(path_and_query(url)?)
        .body(Full::new(body))
        .ok()?;
    *request.headers_mut() = headers;
    let fixed = request.headers_mut();
    fixed.insert(header::HOST, host.parse().ok()?);
    fixed.insert(header::CONNECTION, http::HeaderValue::from_static("close"));
    fixed.insert(
        header::ACCEPT_ENCODING,
        http::HeaderValue::from_static("identity"),
    );
    Some(request)
}

/// What a URL's standard leaves as it is and a request line's (RFC 3986) does not know.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

fn path_and_query(url: &Url) -> Option<Uri> {
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let path = PathAndQuery::try_from(utf8_percent_encode(&path, UNSAFE).to_string()).ok()?;
    Some(Uri::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(url: &str) -> Option<String> {
        let target = TargetUrl::parse(url, true).ok()?;
        let request = request(Method::POST, &target, HeaderMap::new(), Bytes::new()).expect("a request");
        let host = request
            .headers()
            .get(header::HOST)
            .expect("a host")
            .to_str()
            .expect("text");
        Some(format!("{host} {}", request.uri()))
    }

    #[test]
    fn the_request_line_is_the_urls_path_and_query() {
        for (url, expected) in [
            ("https://r.example", "r.example /"),
            ("https://r.example:443/a?b=c", "r.example /a?b=c"),
            ("https://r.example:8443//x//y", "r.example:8443 //x//y"),
            ("https://[2606:2800::1]:8443/", "[2606:2800::1]:8443 /"),
            (
                "https://größe.example/ä?ö",
                "xn--gre-6ka8i.example /%C3%A4?%C3%B6",
            ),
            ("https://r.example/%20?%zz", "r.example /%20?%zz"),
            (
                "https://r.example/a^b|c?d^e|f`g{h}",
                "r.example /a%5Eb%7Cc?d%5Ee%7Cf%60g%7Bh%7D",
            ),
        ] {
            assert_eq!(line(url).as_deref(), Some(expected), "{url}");
        }
    }

    proptest! {
        #[test]
        fn every_url_that_is_accepted_can_be_asked_for(path in "[ -~äß€]{0,40}", query in "[ -~äß€]{0,40}") {
            // Accepted or refused, but never accepted and then impossible.
            let _ = line(&format!("https://r.example/{path}?{query}"));
        }
    }
}
