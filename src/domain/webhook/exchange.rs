//! What an attempt saw of its connection: how long each phase took, whom it spoke to, by which TLS. What was not reached has
//! no value, so that the first phase without one tells where an attempt ended.

use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::words::words;

words! {
    /// A version of TLS (RFC 5246, RFC 8446).
    pub enum TlsVersion {
        /// TLS 1.2.
        V12 = "TLSv1.2",
        /// TLS 1.3.
        V13 = "TLSv1.3",
    }
}

/// The exchange of an attempt with its receiver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// How long resolving and judging the addresses took.
    pub dns: Option<Duration>,
    /// How long dialling took, a proxy's answer included.
    pub connect: Option<Duration>,
    /// How long the TLS handshake took.
    pub tls: Option<Duration>,
    /// How long it took from the request to the first byte of the answer.
    pub first_byte: Option<Duration>,
    /// The address of the receiver, also behind a proxy.
    pub remote: Option<SocketAddr>,
    /// The version of TLS that was agreed on.
    pub tls_version: Option<TlsVersion>,
    /// Whether the connection had served an earlier attempt.
    pub reused: Option<bool>,
}

impl Exchange {
    /// The phases with their names, in their order.
    #[must_use]
    pub const fn phases(&self) -> [(&'static str, Option<Duration>); 4] {
        [
            ("dns", self.dns),
            ("connect", self.connect),
            ("tls", self.tls),
            ("firstByte", self.first_byte),
        ]
    }
}
