//! Writes through the mirror: checked by the catalogue, recorded before they are sent, sent once.
//!
//! Their life is that of every other operation (`app/submit`). Actions on failover plans and changes of them are not
//! told apart here but in `plans`, which runs the same verbs as the curated routes.

use bytes::Bytes;

use crate::app::idempotency::IdempotentRequest;
use crate::app::submit::{Intent, Submitted};
use crate::app::{App, Error, FieldError, OpContext};
use crate::catalogue::{Method, catalogue};
use crate::domain::command::{Command, ExpectedReply, MirrorWrite, WriteMethod};
use crate::mirror::MirrorRequest;
use crate::transcode::{self, EncodeError};

/// Says of a document's JSON whether it is what the caller saw.
pub type Unchanged = Box<dyn FnOnce(&[u8]) -> bool + Send>;

/// What comes with a write, beside its path and query.
pub struct WriteRequest {
    /// The body as JSON, if there is one.
    pub body: Option<Bytes>,
    /// The key under which the same request is the same operation.
    pub idempotency: Option<IdempotentRequest>,
    /// Judges the document that is to be changed, where the caller named its entity tag.
    pub unchanged: Option<Unchanged>,
}

impl App {
    /// Does what `ask` asks for: one request at the most, whatever happens.
    ///
    /// # Errors
    /// [`Error::Invalid`] with a pointer for each fault of the body, [`Error::PreconditionFailed`],
    /// [`Error::Refused`], and those of [`App::act`] for failover plans.
    pub async fn em_write(
        &self,
        context: &OpContext,
        ask: &MirrorRequest,
        request: WriteRequest,
    ) -> Result<Submitted, Error> {
        let body = encoded(self.em.links().mirror(), ask, request.body.as_deref())?;
        if let Some(earlier) = self.replay(context, request.idempotency.as_ref()).await? {
            return Ok(earlier);
        }
        if let Some(unchanged) = request.unchanged {
            self.expect_unchanged(ask, unchanged).await?;
        }
        if let Some(plan) = ask.plan_verb() {
            return self
                .em_plan(context, ask, plan, request.body.as_deref(), request.idempotency)
                .await;
        }
        let write = MirrorWrite {
            method: ask.write_method()?,
            path: ask.path.clone(),
            target: ask.target.clone(),
            action: ask.action().to_owned(),
            body,
            reply: ask.reply(),
        };
        let intent = Intent::plain(Command::Mirror(write), request.idempotency);
        self.submit(context, intent).await
    }

    /// Between this look and the write somebody else may change the thing: EM has no conditional requests. It spares
    /// callers the usual lost update, which is minutes old and not milliseconds.
    async fn expect_unchanged(&self, ask: &MirrorRequest, unchanged: Unchanged) -> Result<(), Error> {
        let target = ask.representation().ok_or(Error::PreconditionFailed)?;
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

/// The body as EM wants it; nothing where EM wants none.
fn encoded(mirror: &str, ask: &MirrorRequest, json: Option<&[u8]>) -> Result<String, Error> {
    match (ask.body(), json) {
        (None, None) => Ok(String::new()),
        (None, Some(_)) => Err(Error::invalid("", "this request has no body")),
        (Some(body), None) if body.optional => Ok(String::new()),
        (Some(_), None) => Err(Error::invalid("", "a JSON body is required")),
        (Some(body), Some(json)) => {
            let shown = (ask.operation.method == Method::Put)
                .then_some(ask.resource.entity)
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
            Method::Get => Err(Error::Internal("a read came to be written")),
        }
    }

    /// What EM's page promises for it. Actions on failover plans do not come here.
    fn reply(&self) -> ExpectedReply {
        let answers_task = |ty| catalogue().ty(ty).name == "TaskType";
        if self.operation.status != 204 && self.operation.answer.is_some_and(answers_task) {
            ExpectedReply::Task
        } else {
            ExpectedReply::Nothing
        }
    }
}
