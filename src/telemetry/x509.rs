//! What an X.509 certificate says of itself, for log lines and errors. Whom to trust is decided elsewhere.
//!
//! The text comes from whoever presents the certificate: it is bounded, and holds no character that moves a cursor or turns the text around.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;

use crate::text::is_harmful;

/// Longest text of a name, in characters.
const LONGEST: usize = 200;

/// What a certificate says; a part that cannot be read is `unreadable`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// SHA-256 of the DER, 64 hexadecimal digits: what `pin_sha256` takes.
    pub sha256: String,
    /// Whom it is for, such as `CN=em.example`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Until when it is valid, RFC 3339.
    pub expires: String,
    /// The same moment, if it can be read.
    pub not_after: Option<Timestamp>,
}

impl Facts {
    /// Reads a certificate's DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        let hex: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let unreadable = || "unreadable".to_owned();
        let parsed = x509_parser::parse_x509_certificate(der).ok();
        let parsed = parsed.as_ref().map(|(_, certificate)| certificate);
        let name = |name: Option<String>| name.map_or_else(unreadable, |name| shown(&name));
        let not_after = parsed.and_then(end_of);
        Self {
            sha256: hex.concat(),
            subject: name(parsed.map(|certificate| certificate.subject().to_string())),
            issuer: name(parsed.map(|certificate| certificate.issuer().to_string())),
            expires: not_after.map_or_else(unreadable, |moment| moment.to_string()),
            not_after,
        }
    }

    /// Shows until when the certificate is valid among the metrics; `which` is `server` or `upstream`.
    #[expect(clippy::cast_precision_loss, reason = "seconds, far below 2^52")]
    pub fn gauge_expiry(&self, which: &'static str) {
        if let Some(moment) = self.not_after {
            metrics::gauge!(super::names::CERTIFICATE_EXPIRY, "which" => which)
                .set(moment.as_second() as f64);
        }
    }
}

/// Until when a certificate is valid; none for what is no certificate.
#[must_use]
pub fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    end_of(&certificate)
}

fn end_of(certificate: &X509Certificate<'_>) -> Option<Timestamp> {
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

fn shown(name: &str) -> String {
    let printable = |letter: char| if is_harmful(letter) { '\u{fffd}' } else { letter };
    name.chars().take(LONGEST).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificates_facts_are_those_of_its_text() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).expect("parameters");
        let name = format!("em.lab.example\n\u{202e}{}", "x".repeat(1000));
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let facts = Facts::of(params.self_signed(&key).expect("a certificate").der());
        assert!(
            facts.subject.starts_with("CN=em.lab.example") && !facts.subject.contains(['\n', '\u{202e}']),
            "{facts:?}"
        );
        assert_eq!(facts.subject.chars().count(), LONGEST);
        assert_eq!(facts.issuer, facts.subject);
        assert_eq!(facts.expires, "2031-02-03T00:00:00Z");
        assert_eq!(facts.sha256.len(), 64);
        assert_eq!(not_after(b"nothing"), None);
    }

    #[test]
    fn bytes_that_are_no_certificate_have_a_digest_only() {
        let facts = Facts::of(b"nothing");
        assert_eq!(
            (facts.subject.as_str(), facts.expires.as_str(), facts.sha256.len()),
            ("unreadable", "unreadable", 64)
        );
    }
}
