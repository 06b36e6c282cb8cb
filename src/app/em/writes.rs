//! Writes through the mirror: checked by the catalogue, recorded before they are sent, sent once.
//!
//! They are operations like all others (`app/submit`). Writes to failover plans are left to `plans`, which runs the
//! verbs of the curated routes.

use bytes::Bytes;

use crate::app::idempotency::IdempotentRequest;
use crate::app::intent::Intent;
use crate::app::submit::Submitted;
use crate::app::{App, Error, FieldError, OpContext};
use crate::catalogue::{Method, catalogue};
use crate::domain::command::{Command, ExpectedReply, MirrorWrite, WriteMethod};
use crate::mirror::MirrorRequest;
use crate::transcode::{self, EncodeError};

/// Whether a document's JSON is what the caller read.
pub type Unchanged = Box<dyn FnOnce(&[u8]) -> bool + Send>;

/// What comes with a write, beside its path and query.
pub struct WriteRequest {
    /// The body as JSON, if there is one.
    pub body: Option<Bytes>,
    /// The key under which the same request is the same operation.
    pub idempotency: Option<IdempotentRequest>,
    /// Checks the document that is to be changed, where the caller named its entity tag.
    pub unchanged: Option<Unchanged>,
}

impl App {
    /// Does what `mirrored` means: one request to EM at most, whatever fails.
    ///
    /// # Errors
    /// [`Error::Invalid`] with a pointer for each fault of the body, [`Error::PreconditionFailed`],
    /// [`Error::Refused`], and those of [`App::act`] for failover plans.
    pub async fn em_write(
        &self,
        context: &OpContext,
        mirrored: &MirrorRequest,
        request: WriteRequest,
    ) -> Result<Submitted, Error> {
        let body = encoded(self.em.links().mirror(), mirrored, request.body.as_deref())?;
        if let Some(earlier) = self.replay(context, request.idempotency.as_ref()).await? {
            return Ok(earlier);
        }
        if let Some(unchanged) = request.unchanged {
            self.expect_unchanged(mirrored, unchanged).await?;
        }
        if let Some(plan) = mirrored.plan_verb() {
            return self
                .em_plan(
                    context,
                    mirrored,
                    plan,
                    request.body.as_deref(),
                    request.idempotency,
                )
                .await;
        }
        let write = MirrorWrite {
            method: mirrored.write_method()?,
            path: mirrored.path.clone(),
            target: mirrored.target.clone(),
            action: mirrored.action().to_owned(),
            body,
            reply: mirrored.reply(),
        };
        let intent = Intent::plain(Command::Mirror(write), request.idempotency);
        self.submit(context, intent).await
    }

    /// Another client may still change the resource between this check and the write, since EM has no conditional
    /// requests. The check prevents the usual lost update, which is minutes old and not milliseconds.
    async fn expect_unchanged(&self, mirrored: &MirrorRequest, unchanged: Unchanged) -> Result<(), Error> {
        let target = mirrored.representation().ok_or(Error::PreconditionFailed)?;
        let current = self.em.document_fresh(&target).await.map_err(|error| {
            if error.is_not_found() {
                Error::PreconditionFailed
            } else {
                Error::Upstream(error)
            }
        })?;
        if unchanged(&current.json) {
            Ok(())
        } else {
            Err(Error::PreconditionFailed)
        }
    }
}

/// The body as EM's XML; empty where EM expects none.
fn encoded(mirror: &str, mirrored: &MirrorRequest, json: Option<&[u8]>) -> Result<String, Error> {
    match (mirrored.body(), json) {
        (None, None) => Ok(String::new()),
        (None, Some(_)) => Err(Error::invalid("", "this request has no body")),
        (Some(body), None) if body.optional => Ok(String::new()),
        (Some(_), None) => Err(Error::invalid("", "a JSON body is required")),
        (Some(body), Some(json)) => {
            let shown = (mirrored.operation.method == Method::Put)
                .then_some(mirrored.resource.entity)
                .flatten();
            let xml =
                transcode::encode_edit(json, mirror, body.root, shown).map_err(|error| match error {
                    EncodeError::Invalid(faults) => {
                        Error::Invalid(faults.into_iter().map(FieldError::from).collect())
                    }
                    EncodeError::Syntax { what, at } => {
                        Error::invalid("", format!("cannot be read as JSON: {what} (byte {at})"))
                    }
                    EncodeError::UnknownRoot(_) | EncodeError::Io(_) => {
                        Error::Internal("a body could not be written as XML")
                    }
                })?;
            String::from_utf8(xml).map_err(|_| Error::Internal("a body's XML is not UTF-8"))
        }
    }
}

impl MirrorRequest {
    fn write_method(&self) -> Result<WriteMethod, Error> {
        match self.operation.method {
            Method::Post => Ok(WriteMethod::Post),
            Method::Put => Ok(WriteMethod::Put),
            Method::Delete => Ok(WriteMethod::Delete),
            Method::Get => Err(Error::Internal("a read was submitted as a write")),
        }
    }

    /// The reply that EM's documentation promises. Actions on failover plans do not come here.
    fn reply(&self) -> ExpectedReply {
        let answers_task = |ty| catalogue().ty(ty).name == "TaskType";
        if self.operation.status != 204 && self.operation.answer.is_some_and(answers_task) {
            ExpectedReply::Task
        } else {
            ExpectedReply::Nothing
        }
    }
}
