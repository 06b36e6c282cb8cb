//! Files of certificates, which several sections name.

use std::path::Path;

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::reader::Section;

/// The content of a PEM file that must hold certificates and nothing broken.
pub(super) fn certificates(s: &Section<'_>, key: &'static str, file: &Path) -> Option<Vec<u8>> {
    let content = s.file(key, file)?;
    let mut found = CertificateDer::pem_slice_iter(&content).peekable();
    if found.peek().is_none() || found.any(|certificate| certificate.is_err()) {
        s.fault(key, "names a file without (valid) certificates in PEM");
        return None;
    }
    Some(content)
}
