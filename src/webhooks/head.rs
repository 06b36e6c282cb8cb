//! The head of an answer that the HTTP parser refuses: the status line decides, and of its fields those count that can
//! be read.
//!
//! A receiver that answered 200 has accepted the event, whatever a proxy or a plug-in of its wrote below that line.

use parking_lot::Mutex;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::answer::Answer;

/// What a connection read first, up to a limit.
#[derive(Clone)]
pub(super) struct Seen {
    noted: Arc<Mutex<Notes>>,
    limit: usize,
}

#[derive(Default)]
struct Notes {
    bytes: Vec<u8>,
    /// When the first of them came.
    since: Option<Instant>,
}

impl Seen {
    /// Nothing yet.
    pub(super) fn up_to(limit: usize) -> Self {
        Self {
            noted: Arc::default(),
            limit,
        }
    }

    /// The answer as far as it can be read; `None` without a whole status line of a final answer.
    pub(super) fn answer(&self) -> Option<Answer> {
        answer(&self.noted.lock().bytes)
    }

    /// When the first byte came.
    pub(super) fn since(&self) -> Option<Instant> {
        self.noted.lock().since
    }

    fn note(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut noted = self.noted.lock();
        noted.since.get_or_insert_with(Instant::now);
        let room = self.limit.saturating_sub(noted.bytes.len());
        noted.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

/// A connection that notes what it reads.
pub(super) struct Noted<S> {
    pub(super) stream: S,
    pub(super) seen: Seen,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Some(read) = buf.filled().get(before..) {
            this.seen.note(read);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// The final answer in `bytes`: heads of 1xx are passed over.
fn answer(bytes: &[u8]) -> Option<Answer> {
    // Without the line that has no end: it may be half a line.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n')?;
    let lines = bytes.get(..whole)?.split(|byte| *byte == b'\n');
    let mut lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut status = status(lines.find(|line| !line.is_empty())?)?;
    while (100..=199).contains(&status) && status != 101 {
        lines.find(|line| line.is_empty())?;
        status = self::status(lines.find(|line| !line.is_empty())?)?;
    }
    let mut answer = Answer {
        status,
        ..Answer::default()
    };
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((name, value)) = field(line) else {
            continue;
        };
        let place = match name.as_str() {
            "location" => &mut answer.location,
            "retry-after" => &mut answer.retry_after,
            "date" => &mut answer.date,
            "webhook-delivery" => &mut answer.control,
            _ => continue,
        };
        place.get_or_insert(value);
    }
    Some(answer)
}

/// The status of a status line of HTTP/1; what follows it is words for people.
pub(super) fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (minor, rest) = rest.split_first()?;
    let rest = rest.strip_prefix(b" ").filter(|_| minor.is_ascii_digit())?;
    let (digits, rest) = rest.split_at_checked(3)?;
    let is_digits = digits.iter().all(u8::is_ascii_digit);
    let ends = rest.first().is_none_or(|byte| *byte == b' ');
    if !(is_digits && ends) {
        return None;
    }
    let status: u16 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (status >= 100).then_some(status)
}

/// Name in lower case, and value; `None` for a line that is malformed.
fn field(line: &[u8]) -> Option<(String, String)> {
    let is_bad = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    if line.iter().any(is_bad) {
        return None;
    }
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let name = name.trim_ascii_end();
    if name.first().is_none_or(u8::is_ascii_whitespace) {
        return None;
    }
    let value = value.get(1..)?.trim_ascii();
    Some((
        String::from_utf8_lossy(name).to_ascii_lowercase(),
        String::from_utf8_lossy(value).into_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(b"HTTP/1.1 200 OK\r\n", Some(200))]
    #[case(b"HTTP/1.1 200\n", Some(200))]
    #[case(b"\r\nHTTP/1.0 204 \x00\r\nx", Some(204))]
    #[case(b"HTTP/1.1 100 Continue\r\nx\r\n\r\nHTTP/1.1 422 No\r\n", Some(422))]
    #[case(b"HTTP/1.1 101 Switching\r\n\r\n", Some(101))]
    #[case(b"HTTP/1.1 200 OK", None)]
    #[case(b"HTTP/1.1 2000 OK\r\n", None)]
    #[case(b"HTTP/1.1 20 OK\r\n", None)]
    #[case(b"HTTP/1.1 099 OK\r\n", None)]
    #[case(b"HTTP/1.1 +20 OK\r\n", None)]
    #[case(b"HTTP/2 200\r\n", None)]
    #[case(b"HTTP/1.1 100 Continue\r\n\r\n", None)]
    #[case(b"220 mail.example ESMTP\r\n\r\n", None)]
    #[case(b"", None)]
    fn the_status_is_that_of_the_final_status_line(#[case] bytes: &[u8], #[case] status: Option<u16>) {
        assert_eq!(answer(bytes).map(|answer| answer.status), status);
    }

    #[test]
    fn fields_are_read_from_the_lines_that_are_well_formed() {
        let head =
            b"HTTP/1.1 429 No\r\nLocation: /a\x01b\r\nRetry-After : 7\r\n Date: folded\r\nRetry-After: 9\r\n\
                     \x00\r\nLocation:/c \r\n\r\nDate: in the body\r\n";
        let expected = Answer {
            status: 429,
            location: Some("/c".to_owned()),
            retry_after: Some("7".to_owned()),
            ..Answer::default()
        };
        assert_eq!(answer(head), Some(expected));
    }
}
