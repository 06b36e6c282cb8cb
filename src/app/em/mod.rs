//! The mirror: every operation of EM's catalogue, as JSON, both ways (docs/behaviour.md#the-mirror).
//!
//! `path`, `ask` and `parameters` understand a request by the catalogue, `queries` knows what EM's query service can
//! search, and the verbs here ask EM. The room below does the transcoding; no document becomes a tree here, but for
//! tasks and failover plans (`tasks`, `plans`). `writes` is what changes something.

mod parameters;
mod path;
mod plans;
mod queries;
mod request;
mod tasks;
mod writes;

pub use path::is_mirrored;
pub use plans::PlanVerb;
pub use queries::Queryable;
pub use queries::of as queryable;
pub use request::{Kind, MirrorRequest, formats, is_task, known_parameters};
pub use writes::{Unchanged, WriteRequest};

use super::{App, Error, OpContext};
use crate::catalogue::Method;
pub use crate::upstream::WriteResponse;
pub use crate::upstream::mirror::{Document, Download};

/// The methods that EM's resource at `path` takes.
///
/// # Errors
/// [`Error::NotFound`].
pub fn methods(path: &str) -> Result<Vec<Method>, Error> {
    let place = path::place(path).ok_or(Error::NotFound {
        what: "what the path names",
    })?;
    let mut methods = Vec::new();
    for operation in &place.resource.operations {
        if operation.action_in_path == place.action.is_some() && !methods.contains(&operation.method) {
            methods.push(operation.method);
        }
    }
    Ok(methods)
}

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
            document.without_links_to(self.em.links(), |path| path::place(path).is_none())
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
