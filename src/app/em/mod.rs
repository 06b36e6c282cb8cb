//! The mirror's verbs: they send EM what a parsed [`MirrorRequest`] means. They never parse a path or a query.
//!
//! Invariant: a document passes as the transcoder made it; only tasks and failover plans are read here (`tasks`,
//! `plans`). `writes` changes EM. Tests: `tests/it/mirror/`.

mod plans;
mod tasks;
mod writes;

pub use writes::{Unchanged, WriteRequest};

use super::{App, Error, OpContext};
use crate::mirror::{MirrorRequest, is_linked};
pub use crate::upstream::WriteResponse;
pub use crate::upstream::mirror::{Document, Download};

impl App {
    /// The document that EM answers to a read; it may come from the read cache.
    ///
    /// # Errors
    /// [`Error::Upstream`]; EM's 404 too, since EM names best what it does not have.
    pub async fn em_read(&self, _context: &OpContext, request: &MirrorRequest) -> Result<Document, Error> {
        let document = self.em.document(&request.target).await?;
        match &request.parent {
            // EM's query service finds nothing within a parent that does not exist, instead of answering 404.
            Some(parent) if document.is_empty_list() => {
                self.em.document(parent).await?;
            }
            _ => {}
        }
        Ok(if request.resource.path == "/" {
            document.without_links_to(self.em.links(), |path| !is_linked(path))
        } else {
            document
        })
    }

    /// A file's bytes, as EM sends them.
    ///
    /// # Errors
    /// [`Error::Upstream`], before the first byte.
    pub async fn em_download(
        &self,
        _context: &OpContext,
        request: &MirrorRequest,
    ) -> Result<Download, Error> {
        Ok(self.em.download(&request.target).await?)
    }
}
