//! Answers as bytes, made once of what they are made of and shared by all who may see them: the body, its entity tag, and its
//! compressed form (docs/behaviour.md#remembered-answers).
//!
//! Invariant: an answer is given again only while it would be made of the very same things: the same answers of Enterprise
//! Manager's, known by identity (`upstream` decides how long these are remembered, and for whom), the same state of the
//! store, and the same settings of plans. So no rule of freshness is here. The place in memory is the address and whose things the caller sees.

mod answer;

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use tokio::time::Instant;

pub(super) use self::answer::{Answer, Asked, takes_gzip};
use super::problem::Problem;
use crate::app::Source;
use crate::domain::access::Tenancy;
use crate::runtime::memory::memory;
use crate::telemetry::names;

/// The bytes of all answers together, and of the largest.
const MOST: u64 = 16 * 1024 * 1024;
const LARGEST: usize = 512 * 1024;
/// How long what was made of the store is given again at the most, were a commit of it missed.
const OF_STORE: Duration = Duration::from_secs(1);
/// Answers of which something is gone are swept out after so many new ones.
const BETWEEN_SWEEPS: u64 = 64;

/// What an answer is made of.
#[derive(Default)]
pub(super) struct Basis {
    reads: Vec<Source>,
    store: Option<u64>,
    settings: Option<i64>,
}

impl Basis {
    /// Of answers of Enterprise Manager's.
    pub(super) fn reads(reads: Vec<Source>) -> Self {
        Self {
            reads,
            ..Self::default()
        }
    }

    /// The same, and of what is set about plans, of that number.
    pub(super) fn and_settings(self, revision: i64) -> Self {
        Self {
            settings: Some(revision),
            ..self
        }
    }

    /// The same, and of the store in this state, if that can be known.
    pub(super) fn and_store(self, revision: Option<u64>) -> Option<Self> {
        let store = Some(revision?);
        Some(Self { store, ..self })
    }
}

struct Kept {
    answer: Arc<Answer>,
    reads: Vec<Weak<dyn std::any::Any + Send + Sync>>,
    /// The state of the store, and until when that is believed.
    store: Option<(u64, Instant)>,
    settings: Option<i64>,
}

impl Kept {
    fn is_of(&self, basis: &Basis, now: Instant) -> bool {
        let store = match (self.store, basis.store) {
            (None, None) => true,
            (Some((known, until)), Some(revision)) => known == revision && now < until,
            _ => false,
        };
        // The allocation behind a weak reference is not given away, so an address is one thing's alone.
        let same =
            |(known, read): (&Weak<_>, &Source)| std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(&read.0));
        store
            && self.settings == basis.settings
            && self.reads.len() == basis.reads.len()
            && self.reads.iter().zip(&basis.reads).all(same)
    }

    fn is_alive(&self, now: Instant) -> bool {
        self.reads.iter().all(|read| read.strong_count() > 0)
            && self.store.is_none_or(|(_, until)| now < until)
    }
}

#[derive(PartialEq, Eq)]
struct Place {
    whose: Tenancy,
    uri: Box<str>,
}

/// A place as it is looked for.
struct Wanted<'w> {
    whose: &'w Tenancy,
    uri: &'w str,
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let wanted = Wanted {
            whose: &self.whose,
            uri: &self.uri,
        };
        wanted.hash(state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.whose.hash(state);
        self.uri.hash(state);
    }
}

impl Equivalent<Place> for Wanted<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        *self.uri == *place.uri && *self.whose == place.whose
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Place, Arc<Kept>> for ByBytes {
    fn weight(&self, place: &Place, kept: &Arc<Kept>) -> u64 {
        kept.answer.bytes() + place.uri.len() as u64
    }
}

/// The answers that are remembered.
pub(super) struct Answers {
    kept: Cache<Place, Arc<Kept>, ByBytes>,
    added: std::sync::atomic::AtomicU64,
    hits: metrics::Counter,
    misses: metrics::Counter,
    bytes: metrics::Gauge,
}

impl Answers {
    pub(super) fn new() -> Self {
        crate::telemetry::upkeep();
        Self {
            kept: memory(MOST, ByBytes),
            added: std::sync::atomic::AtomicU64::new(0),
            hits: metrics::counter!(names::HTTP_REMEMBERED, "outcome" => "remembered"),
            misses: metrics::counter!(names::HTTP_REMEMBERED, "outcome" => "made"),
            bytes: metrics::gauge!(names::HTTP_REMEMBERED_BYTES),
        }
    }

    /// The answer at an address for those who see the same things, if it was made of the same.
    fn get(&self, whose: &Tenancy, asked: &Asked, basis: &Basis) -> Option<Arc<Answer>> {
        let uri = asked.uri.path_and_query()?.as_str();
        let kept = self.kept.get(&Wanted { whose, uri })?;
        kept.is_of(basis, asked.at).then(|| {
            self.hits.increment(1);
            kept.answer.clone()
        })
    }

    /// Remembers an answer, if it is not too large.
    #[expect(clippy::cast_precision_loss, reason = "bytes of a memory of some megabytes")]
    fn keep(&self, whose: &Tenancy, asked: &Asked, basis: &Basis, answer: Answer) -> Arc<Answer> {
        self.misses.increment(1);
        let answer = Arc::new(answer);
        let Some(uri) = asked
            .uri
            .path_and_query()
            .filter(|_| answer.body.len() <= LARGEST)
        else {
            return answer;
        };
        let kept = Kept {
            answer: answer.clone(),
            reads: basis.reads.iter().map(|read| Arc::downgrade(&read.0)).collect(),
            store: basis.store.map(|revision| (revision, asked.at + OF_STORE)),
            settings: basis.settings,
        };
        let place = Place {
            whose: whose.clone(),
            uri: uri.as_str().into(),
        };
        self.kept.insert(place, Arc::new(kept));
        let added = self.added.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if added.is_multiple_of(BETWEEN_SWEEPS) {
            self.kept.retain(|_, kept| kept.is_alive(asked.at));
        }
        self.bytes.set(self.kept.weight() as f64);
        answer
    }

    /// The answer at an address. `making` makes it, and is asked only where it is not remembered or cannot be, for want of a
    /// basis.
    ///
    /// # Errors
    /// Those of `making`.
    pub(super) async fn of(
        &self,
        whose: &Tenancy,
        asked: &Asked,
        basis: Option<Basis>,
        making: impl Future<Output = Result<Answer, Problem>>,
    ) -> Result<Arc<Answer>, Problem> {
        let Some(basis) = basis else {
            return making.await.map(Arc::new);
        };
        match self.get(whose, asked, &basis) {
            Some(answer) => Ok(answer),
            None => Ok(self.keep(whose, asked, &basis, making.await?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::*;

    fn asked(uri: &str) -> Asked {
        Asked {
            uri: uri.parse().expect("an address"),
            takes_gzip: false,
            at: Instant::now(),
        }
    }

    fn only(tenant: &str) -> Tenancy {
        Tenancy::Only([tenant.to_owned()].into())
    }

    fn source() -> Source {
        Source(Arc::new("an answer".to_owned()))
    }

    fn answer(text: &str) -> Answer {
        Answer::of(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn body(answer: Option<&Arc<Answer>>) -> Option<&[u8]> {
        answer.map(|answer| &*answer.body)
    }

    #[test]
    fn an_answer_is_given_again_only_while_it_is_made_of_the_same() {
        let answers = Answers::new();
        let (all, asked) = (Tenancy::All, asked("/api/v1/things?page=1"));
        let (one, other) = (source(), source());
        let basis = Basis::reads(vec![one.clone()]);
        answers.keep(&all, &asked, &basis, answer("1"));
        let found = |basis: &Basis| answers.get(&all, &asked, basis).is_some();
        assert!(found(&basis));
        assert!(!found(&Basis::reads(vec![other.clone()])), "of another answer");
        assert!(!found(&Basis::reads(vec![one.clone(), other])), "of more");
        assert!(!found(&Basis::reads(Vec::new())), "of less");
        assert!(!found(
            &Basis::reads(vec![one]).and_store(Some(1)).expect("known")
        ));
    }

    #[test]
    fn an_answer_of_the_store_ends_with_its_state_and_after_a_second() {
        let answers = Answers::new();
        let (all, mut asked) = (Tenancy::All, asked("/api/v1/operations"));
        let at = |revision| Basis::default().and_store(Some(revision)).expect("known");
        answers.keep(&all, &asked, &at(7), answer("7"));
        assert!(answers.get(&all, &asked, &at(7)).is_some());
        assert!(answers.get(&all, &asked, &at(8)).is_none());
        asked.at += OF_STORE;
        assert!(answers.get(&all, &asked, &at(7)).is_none());
    }

    #[test]
    fn nobody_gets_what_was_made_for_those_who_see_other_things() {
        let answers = Answers::new();
        let (asked, basis) = (
            asked("/api/v1/cloud-failover-plans"),
            Basis::reads(vec![source()]),
        );
        answers.keep(&only("ABC"), &asked, &basis, answer("of ABC"));
        for other in [
            Tenancy::All,
            only("abc"),
            only("Nordwind"),
            Tenancy::Only([].into()),
        ] {
            // Even were it made of the very same answer of Enterprise Manager's.
            assert!(answers.get(&other, &asked, &basis).is_none(), "{other:?}");
        }
        let own = answers.get(&only("ABC"), &asked, &basis);
        assert_eq!(body(own.as_ref()), Some(&b"of ABC"[..]));
    }

    #[test]
    fn no_more_bytes_are_remembered_than_the_limit() {
        let answers = Answers::new();
        let basis = Basis::reads(vec![source()]);
        for number in 0..2_000 {
            let asked = asked(&format!("/api/v1/things?page={number}"));
            answers.keep(&Tenancy::All, &asked, &basis, answer(&"x".repeat(30_000)));
        }
        assert!(answers.kept.weight() <= MOST, "{}", answers.kept.weight());
        let large = asked("/api/v1/large");
        answers.keep(&Tenancy::All, &large, &basis, answer(&"x".repeat(LARGEST + 1)));
        assert!(answers.get(&Tenancy::All, &large, &basis).is_none());
    }

    #[test]
    fn answers_whose_sources_are_gone_are_swept_out() {
        let answers = Answers::new();
        for number in 0..=BETWEEN_SWEEPS {
            let asked = asked(&format!("/api/v1/things?page={number}"));
            let gone = Basis::reads(vec![source()]);
            answers.keep(&Tenancy::All, &asked, &gone, answer("x"));
        }
        assert!(answers.kept.len() < 3, "{}", answers.kept.len());
    }
}
