//! The mirror's verbs: what EM is asked once a request is understood (`mirror`).
//!
//! Documents pass as the transcoder made them; only those of tasks and failover plans are taken apart here (`tasks`,
//! `plans`). `writes` is what changes EM.

mod plans;
mod tasks;
mod writes;

pub use writes::{Unchanged, WriteRequest};

use super::{App, Error, OpContext};
use crate::mirror::{MirrorRequest, is_linked};
pub use crate::upstream::WriteResponse;
pub use crate::upstream::mirror::{Document, Download};

impl App {
    /// The document that EM answers to a read, from EM or from a moment ago.
    ///
    /// # Errors
    /// [`Error::Upstream`]; that of EM's 404 included, since EM says best what it does not have.
    pub async fn em_read(&self, _context: &OpContext, ask: &MirrorRequest) -> Result<Document, Error> {
        let document = self.em.document(&ask.target).await?;
        match &ask.parent {
            // Nothing found in what does not exist is the same 404 as without a search.
            Some(parent) if document.is_empty_list() => {
                self.em.document(parent).await?;
            }
            _ => {}
        }
        Ok(if ask.resource.path == "/" {
            document.without_links_to(self.em.links(), |path| !is_linked(path))
        } else {
            document
        })
    }

    /// A file's bytes, as EM sends them.
    ///
    /// # Errors
    /// [`Error::Upstream`], before the first byte.
    pub async fn em_download(&self, _context: &OpContext, ask: &MirrorRequest) -> Result<Download, Error> {
        Ok(self.em.download(&ask.target).await?)
    }
}
