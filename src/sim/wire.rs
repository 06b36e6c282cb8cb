//! HTTP/1.1 by hand, over any byte stream.
//!
//! A library would hide what the simulator must see (is there a `Content-Length`? a cookie beside the
//! header?) and forbid what it must do (reset, fall silent, stop in mid-body). One request at a time per
//! connection, keep-alive included; every read is bounded in size and in time.

use std::time::Duration;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest request head.
const MAX_HEAD: usize = 64 * 1024;
/// The largest request body.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// How long an idle connection is kept, and how long one request may take to arrive.
const READ_LIMIT: Duration = Duration::from_secs(75);
/// How long the peer may take to read an answer.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// One request as it came.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method as sent.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Names in lower case, values as sent; repeated ones stay apart.
    pub headers: Vec<(String, String)>,
    /// The body, empty when there is none.
    pub body: Vec<u8>,
    /// The peer wants the connection to stay open.
    pub keep_alive: bool,
}

impl Request {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The path without the query, as sent.
    pub fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The query's parameters, decoded, in the order sent.
    pub fn query(&self) -> Vec<(String, String)> {
        let Some((_, query)) = self.target.split_once('?') else {
            return Vec::new();
        };
        let decode = |text: &str| {
            percent_decode_str(&text.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
            .collect()
    }

    /// The first parameter of that name, whatever its letter case.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query()
            .into_iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The value of the cookie of that name.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key == "cookie")
            .flat_map(|(_, value)| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The media type without parameters, lower case.
    pub fn media_type(&self) -> Option<String> {
        self.header("content-type")
            .map(|value| value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// All headers but the length and `Connection`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// An answer with a body of that content type.
    pub fn with_body(status: StatusCode, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body,
        }
    }

    /// The bytes on the wire.
    pub fn bytes(&self, keep_alive: bool) -> Vec<u8> {
        let reason = self.status.canonical_reason().unwrap_or("Other");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status.as_u16());
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.status != StatusCode::NO_CONTENT {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str(if keep_alive {
            "\r\n"
        } else {
            "Connection: close\r\n\r\n"
        });
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// Why no request could be read.
#[derive(Debug)]
pub enum Unreadable {
    /// The peer closed the connection, or was silent for too long.
    Gone,
    /// What came is not a request that is served; the answer is sent and the connection closed.
    Bad(StatusCode),
}

/// Reads the next request; `buffer` holds what was read beyond the last one.
pub async fn read_request<S>(stream: &mut S, buffer: &mut Vec<u8>) -> Result<Request, Unreadable>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    tokio::time::timeout(READ_LIMIT, read_unlimited(stream, buffer))
        .await
        .unwrap_or(Err(Unreadable::Gone))
}

async fn read_unlimited<S>(stream: &mut S, buffer: &mut Vec<u8>) -> Result<Request, Unreadable>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head_end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at;
        }
        if buffer.len() > MAX_HEAD {
            return Err(Unreadable::Bad(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        }
        fill(stream, buffer).await?;
    };
    let rest = buffer.split_off(head_end + 4);
    let head = std::mem::replace(buffer, rest);
    let mut request = parse_head(&head).ok_or(Unreadable::Bad(StatusCode::BAD_REQUEST))?;
    if request
        .header("expect")
        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    {
        write(stream, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let chunked = request
        .header("transfer-encoding")
        .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
    if chunked {
        request.body = read_chunks(stream, buffer).await?;
    } else if let Some(length) = request.header("content-length") {
        let length: usize = length
            .trim()
            .parse()
            .map_err(|_| Unreadable::Bad(StatusCode::BAD_REQUEST))?;
        request.body = take(stream, buffer, length).await?;
    }
    Ok(request)
}

fn parse_head(head: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(head).ok()?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target, version) = (first.next()?, first.next()?, first.next()?);
    if first.next().is_some() || !target.starts_with('/') || !version.starts_with("HTTP/1.") {
        return None;
    }
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        headers,
        ..Request::default()
    };
    let connection = request.header("connection").unwrap_or("").to_ascii_lowercase();
    request.keep_alive = version != "HTTP/1.0" && !connection.contains("close");
    Some(request)
}

async fn read_chunks<S>(stream: &mut S, buffer: &mut Vec<u8>) -> Result<Vec<u8>, Unreadable>
where
    S: AsyncRead + Unpin,
{
    let mut body = Vec::new();
    loop {
        let line = take_line(stream, buffer).await?;
        let size = line.split(';').next().unwrap_or("").trim().to_owned();
        let size = usize::from_str_radix(&size, 16).map_err(|_| Unreadable::Bad(StatusCode::BAD_REQUEST))?;
        if size == 0 {
            while !take_line(stream, buffer).await?.is_empty() {}
            return Ok(body);
        }
        if body.len().saturating_add(size) > MAX_BODY {
            return Err(Unreadable::Bad(StatusCode::PAYLOAD_TOO_LARGE));
        }
        body.extend(take(stream, buffer, size).await?);
        take_line(stream, buffer).await?;
    }
}

async fn take_line<S>(stream: &mut S, buffer: &mut Vec<u8>) -> Result<String, Unreadable>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(at) = find(buffer, b"\r\n") {
            let rest = buffer.split_off(at + 2);
            let line = std::mem::replace(buffer, rest);
            return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        if buffer.len() > MAX_HEAD {
            return Err(Unreadable::Bad(StatusCode::BAD_REQUEST));
        }
        fill(stream, buffer).await?;
    }
}

async fn take<S>(stream: &mut S, buffer: &mut Vec<u8>, length: usize) -> Result<Vec<u8>, Unreadable>
where
    S: AsyncRead + Unpin,
{
    if length > MAX_BODY {
        return Err(Unreadable::Bad(StatusCode::PAYLOAD_TOO_LARGE));
    }
    while buffer.len() < length {
        fill(stream, buffer).await?;
    }
    let rest = buffer.split_off(length);
    Ok(std::mem::replace(buffer, rest))
}

async fn fill<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Result<(), Unreadable> {
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => Err(Unreadable::Gone),
        Ok(_) => Ok(()),
    }
}

/// Sends bytes and flushes, within the limit.
pub async fn write<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), Unreadable> {
    let sending = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match tokio::time::timeout(WRITE_LIMIT, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Unreadable::Gone),
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(bytes: &[u8]) -> Vec<Result<Request, Unreadable>> {
        let (mut client, mut server) = tokio::io::duplex(64);
        let bytes = bytes.to_vec();
        let writer = async move {
            client.write_all(&bytes).await.unwrap();
            client.shutdown().await.unwrap();
        };
        let reader = async {
            let mut buffer = Vec::new();
            let mut requests = Vec::new();
            loop {
                let request = read_request(&mut server, &mut buffer).await;
                let over = request.is_err();
                requests.push(request);
                if over {
                    return requests;
                }
            }
        };
        tokio::join!(writer, reader).1
    }

    #[tokio::test]
    async fn two_requests_on_one_connection_stay_apart() {
        let requests = read_all(
            b"POST /a?x=1&Filter=a%3D%3D%22b+c%22 HTTP/1.1\r\nContent-Length: 3\r\nCookie: q=1; T=v\r\n\r\nabc\
              POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1;x=y\r\nf\r\n0\r\n\r\n",
        )
        .await;
        let first = requests[0].as_ref().unwrap();
        assert_eq!((first.path(), first.body.as_slice()), ("/a", b"abc".as_slice()));
        assert_eq!(first.parameter("filter").as_deref(), Some("a==\"b c\""));
        assert_eq!(first.cookie("t"), Some("v"));
        assert!(first.keep_alive);
        assert_eq!(requests[1].as_ref().unwrap().body, b"def");
        assert!(matches!(requests[2], Err(Unreadable::Gone)));
    }

    #[tokio::test]
    async fn what_is_not_http_is_refused() {
        for bytes in [
            "nonsense\r\n\r\n",
            "GET http://x/ HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nbad\r\n\r\n",
        ] {
            let requests = read_all(bytes.as_bytes()).await;
            assert!(
                matches!(requests[0], Err(Unreadable::Bad(StatusCode::BAD_REQUEST))),
                "{bytes}"
            );
        }
    }
}
