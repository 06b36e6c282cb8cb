//! How EM is read: a read that others share, a document that came before as the same bytes, and another attempt where a connection
//! failed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::call::{self, Call};
use super::documents::{self, Decoded};
use super::error::Error;
use super::limits::Class;
use super::read_cache::Outcome;
use super::transport::Answer;
use super::{EmClient, Inner};
use crate::domain::links::Links;

/// Attempts at a read whose connection failed, and the first pause between them.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// What is read, and how it is decoded.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    /// One record, which may be one of these; illegal characters in it are replaced.
    Record(&'static [&'static str]),
    /// A page of entities of that type, of which the damaged are told apart.
    Rows(&'static str),
    /// A collection that EM gives on one page, which may be one of these.
    Collection(&'static [&'static str]),
    /// Whatever it is, for callers of the mirror; what is damaged is refused.
    Mirror,
}

impl Reading {
    fn class(self) -> Class {
        match self {
            Self::Record(_) | Self::Rows(_) | Self::Mirror => Class::Read,
            Self::Collection(_) => Class::Page,
        }
    }

    /// What the answer is remembered by: a target that is decoded in another way is another question.
    fn question(self, target: &str) -> String {
        let word = match self {
            Self::Record(_) => "record",
            Self::Rows(_) => "rows",
            Self::Collection(_) => "collection",
            Self::Mirror => "mirror",
        };
        format!("{word} {target}")
    }

    async fn decode(self, links: &Links, body: Bytes) -> Result<Decoded, Error> {
        match self {
            Self::Record(roots) | Self::Collection(roots) => documents::decode_record(body, roots).await,
            Self::Rows(kind) => documents::decode_rows(body, kind).await,
            Self::Mirror => documents::decode_any(links, body).await,
        }
    }
}

impl EmClient {
    /// What EM answers, or answered a moment ago to the same question for the same audience.
    pub(super) async fn read(&self, reading: Reading, target: &str) -> Outcome {
        let key = (self.audience.clone(), reading.question(target));
        let ask = || self.ask(reading, target);
        let cache = &self.inner.read_cache;
        match reading {
            // A record that turns out to be another tenant's takes as long as one that does not exist, every time.
            Reading::Record(_) if self.audience.tenants.is_some() => cache.share(key, ask).await,
            _ => cache.read(key, ask).await,
        }
    }

    /// What EM answers now, decoded unless the same bytes came before.
    pub(super) fn ask(&self, reading: Reading, target: &str) -> impl Future<Output = Outcome> + Send + use<> {
        let (em, target) = (self.clone(), target.to_owned());
        async move {
            let Inner {
                known_documents,
                links,
                ..
            } = &*em.inner;
            let answer = em.fetch_answer(reading.class(), &target).await?;
            let decode = |body| reading.decode(links, body);
            if em.audience.tenants.is_some() {
                // How long it takes tells nobody what others read.
                return decode(answer.body).await.map(Arc::new);
            }
            known_documents
                .document(reading.question(&target), answer.body, decode)
                .await
        }
    }

    /// A read that EM answers now.
    pub(super) async fn fetch(
        &self,
        class: Class,
        target: &str,
        roots: &'static [&'static str],
    ) -> Result<Arc<Decoded>, Error> {
        let answer = self.fetch_answer(class, target).await?;
        documents::decode_for_callers(&self.inner.links, answer.body, roots)
            .await
            .map(Arc::new)
    }

    /// A read's answer, asked for again where its connection failed.
    pub(super) async fn fetch_answer(&self, class: Class, target: &str) -> Result<Answer, Error> {
        let Inner { transport, clock, .. } = &*self.inner;
        let pool = self.pool()?;
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            match call::authorized(transport, pool, target, Call::Read(class), None).await {
                Ok((answer, _)) => return Ok(answer),
                Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                    tokio::time::sleep(clock.jittered(pause, 0.5)).await;
                    pause *= 3;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends the memory of all reads: something at EM may have changed since.
    pub fn forget_reads(&self) {
        self.inner.read_cache.forget();
    }
}
