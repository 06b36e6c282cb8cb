//! Documents that came before: where EM answers a question with the same bytes again, the document is the same value, and so is all
//! that was made of it (`Made`, and answers in `http`).
//!
//! Nothing is older for it: EM is asked each time, and its bytes are compared whole.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::documents::Decoded;
use super::error::Error;
use crate::runtime::memory::memory;
use crate::telemetry::names;

/// The bytes of all documents together, and of the largest.
const MOST: u64 = 16 * 1024 * 1024;
const LARGEST: u64 = 512 * 1024;
/// What a document costs beside its bytes.
const OVERHEAD: usize = 1024;

/// The last document of each question.
pub(super) struct KnownDocuments(Cache<String, Arc<Known>, ByBytes>);

struct Known {
    body: Bytes,
    decoded: Arc<Decoded>,
}

impl Known {
    /// The answer, its JSON, and about as much again that is made of it.
    fn bytes(&self) -> u64 {
        (self.body.len() + 2 * self.decoded.json.len() + OVERHEAD) as u64
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<String, Arc<Known>> for ByBytes {
    fn weight(&self, question: &String, known: &Arc<Known>) -> u64 {
        known.bytes() + question.len() as u64
    }
}

impl KnownDocuments {
    pub fn new() -> Self {
        Self(memory(MOST, ByBytes))
    }

    /// The document of EM's answer to a question, which says how the answer is read as well: the one that came before if
    /// these are its bytes, else what `decode` makes of them.
    ///
    /// # Errors
    /// Those of `decode`; what is damaged beyond use is decoded each time.
    #[expect(clippy::cast_precision_loss, reason = "bytes of a memory of some megabytes")]
    pub async fn document<F>(
        &self,
        question: String,
        body: Bytes,
        decode: impl FnOnce(Bytes) -> F,
    ) -> Result<Arc<Decoded>, Error>
    where
        F: Future<Output = Result<Decoded, Error>>,
    {
        if let Some(known) = self.0.get(&question).filter(|known| known.body == body) {
            metrics::counter!(names::UPSTREAM_DOCUMENTS, "outcome" => "known").increment(1);
            return Ok(known.decoded.clone());
        }
        metrics::counter!(names::UPSTREAM_DOCUMENTS, "outcome" => "decoded").increment(1);
        let decoded = Arc::new(decode(body.clone()).await?);
        let known = Known {
            // The buffer that it was read into may be larger.
            body: Bytes::copy_from_slice(&body),
            decoded: decoded.clone(),
        };
        if known.bytes() <= LARGEST {
            self.0.insert(question, Arc::new(known));
            metrics::gauge!(names::UPSTREAM_DOCUMENTS_BYTES).set(self.0.weight() as f64);
        }
        Ok(decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::super::documents::{Made, decode_record};
    use super::*;

    const PLAN: &str = "CloudFailoverPlan";

    fn plan(name: &str) -> Bytes {
        Bytes::from(format!("<{PLAN} Name=\"{name}\"/>"))
    }

    async fn read(documents: &KnownDocuments, question: &str, body: Bytes) -> Result<Arc<Decoded>, Error> {
        let decode = |body| decode_record(body, &[PLAN]);
        documents.document(question.to_owned(), body, decode).await
    }

    #[tokio::test]
    async fn the_same_bytes_are_the_same_document_and_others_another() {
        let documents = KnownDocuments::new();
        let first = read(&documents, "record plans/1", plan("a")).await.expect("read");
        let again = read(&documents, "record plans/1", plan("a")).await.expect("read");
        assert!(Arc::ptr_eq(&first, &again));
        let elsewhere = read(&documents, "record plans/2", plan("a")).await.expect("read");
        assert!(!Arc::ptr_eq(&first, &elsewhere));
        let changed = read(&documents, "record plans/1", plan("b")).await.expect("read");
        assert_ne!(changed.json, first.json);
        let back = read(&documents, "record plans/1", plan("a")).await.expect("read");
        assert_eq!(back.json, first.json);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_remembered() {
        let documents = KnownDocuments::new();
        let body = Bytes::from_static(b"<html>Sign in</html>");
        assert!(read(&documents, "record plans/1", body.clone()).await.is_err());
        assert!(read(&documents, "record plans/1", body).await.is_err());
        assert_eq!(documents.0.len(), 0);
    }

    #[tokio::test]
    async fn the_memory_has_a_bound_and_no_place_for_the_largest() {
        let documents = KnownDocuments::new();
        let decode = |length| {
            let decoded = Decoded {
                root: PLAN,
                json: Bytes::from(vec![b'x'; length]),
                damaged: Vec::new(),
                made: Made::default(),
            };
            std::future::ready(Ok(decoded))
        };
        for number in 0..1_000 {
            let question = format!("record plans/{number}");
            let read = documents.document(question, plan("a"), |_| decode(100 * 1024));
            assert!(read.await.is_ok());
            assert!(documents.0.weight() <= MOST);
        }
        assert!(documents.0.len() > 10);
        let length = usize::try_from(LARGEST).expect("small");
        let read = documents.document("large".to_owned(), plan("a"), |_| decode(length));
        assert!(read.await.is_ok());
        assert!(documents.0.get("large").is_none());
    }
}
