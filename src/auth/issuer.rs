//! The keys of one issuer while the program runs: fetched by a worker, kept while the provider is away, never too long.
//!
//! Only the worker fetches, so that there is one fetch at a time. A request that meets an unknown key wakes it, rarely, and
//! waits for it, shortly.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use super::config::IssuerConfig;
use super::fetch::{self, FetchError, Fetched, Fetcher, SetupError};
use super::jws::Jws;
use super::key_set::{Ignored, KeySet};
use super::refusal::Refusal;
use crate::clock::{SharedClock, later};
use crate::runtime::{Nudge, Turn, Worker};
use crate::telemetry::{Throttle, chain};

/// How long a set is used that could not be fetched anew.
const KEPT: Duration = Duration::from_hours(24);
/// How often unknown keys cause a fetch, for all callers together.
const BETWEEN_REQUESTED: Duration = Duration::from_secs(30);
/// When a fetch that failed is repeated.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// An issuer and its keys.
pub(super) struct Issuer {
    pub config: IssuerConfig,
    fetcher: Fetcher,
    clock: SharedClock,
    nudge: Nudge,
    state: Mutex<State>,
    /// Fetches that have ended, well or badly.
    ended: watch::Sender<u64>,
}

struct State {
    held: Option<Held>,
    /// Of the last set that was held; counts sets that differ.
    generation: u64,
    is_fetching: bool,
    /// When an unknown key last caused a fetch, and which one.
    requested: Option<(Timestamp, u64)>,
    /// Until when the provider wishes not to be asked.
    paused_until: Option<Timestamp>,
    /// Since when there are no keys, and why.
    without: Option<(Timestamp, String)>,
    ignored: Vec<Ignored>,
    failures: Throttle,
}

struct Held {
    document: Value,
    keys: Arc<KeySet>,
    fetched_at: Timestamp,
}

impl Issuer {
    pub fn new(config: &IssuerConfig, clock: SharedClock) -> Result<Self, SetupError> {
        Ok(Self {
            fetcher: Fetcher::new(config, clock.clone())?,
            config: config.clone(),
            state: Mutex::new(State {
                held: None,
                generation: 0,
                is_fetching: false,
                requested: None,
                paused_until: None,
                without: Some((clock.now(), "they have not been fetched yet".to_owned())),
                ignored: Vec::new(),
                failures: Throttle::reminder(),
            }),
            clock,
            nudge: Nudge::default(),
            ended: watch::Sender::new(0),
        })
    }

    /// Whether a token with this `iss` is the issuer's.
    pub fn is_called(&self, iss: &str) -> bool {
        self.config.issuer == iss || self.config.accept_issuers.iter().any(|other| other == iss)
    }

    /// Checks that a key of the issuer signed the token; gives the generation of the set that the key is of.
    pub async fn verify(&self, token: &Jws<'_>) -> Result<u64, Refusal> {
        let known = self.keys();
        let id = token.key_id.as_deref();
        let may_hold = |keys: &KeySet| !keys.is_empty() && id.is_none_or(|id| keys.may_hold(id));
        let (keys, generation) = match known {
            Some((keys, generation)) if may_hold(&keys) => (keys, generation),
            Some(_) | None => {
                self.fetch_requested().await;
                self.keys().ok_or(Refusal::KeysUnavailable)?
            }
        };
        match (keys.verifies(token), id) {
            (true, _) => Ok(generation),
            (false, Some(id)) if !keys.may_hold(id) => Err(Refusal::UnknownKeyId),
            (false, _) => Err(Refusal::UnknownKey),
        }
    }

    /// The generation of the set that tokens are verified with now.
    pub fn generation(&self) -> Option<u64> {
        Some(self.keys()?.1)
    }

    /// Since when the issuer has no usable key, and why.
    pub fn without_keys(&self) -> Option<(Timestamp, String)> {
        match self.keys() {
            Some((keys, _)) if !keys.is_empty() => None,
            Some(_) | None => self.state.lock().without.clone(),
        }
    }

    /// How long ago the keys in use were fetched.
    pub fn key_age(&self) -> Option<Duration> {
        let state = self.state.lock();
        let held = state.held.as_ref()?;
        Some(age(held.fetched_at, self.clock.now()))
    }

    /// What refreshes the keys, and what wakes it.
    pub fn refresh(self: &Arc<Self>) -> (KeyRefresh, Nudge) {
        (KeyRefresh(self.clone()), self.nudge.clone())
    }

    /// The set, unless it is too old.
    fn keys(&self) -> Option<(Arc<KeySet>, u64)> {
        let mut state = self.state.lock();
        let now = self.clock.now();
        let held = state.held.as_ref()?;
        if age(held.fetched_at, now) < KEPT {
            return Some((held.keys.clone(), state.generation));
        }
        state.held = None;
        let reason = "they could not be fetched for 24 hours".to_owned();
        state.without = Some((now, reason));
        None
    }

    /// Has the keys fetched if they were not lately, and waits for the fetch, its own or that of others.
    async fn fetch_requested(&self) {
        let mut ended = self.ended.subscribe();
        let awaited = {
            let mut state = self.state.lock();
            let now = self.clock.now();
            let done = *ended.borrow_and_update();
            if state.paused_until.is_some_and(|until| now < until) {
                return;
            }
            match state.requested {
                // The fetch at the start is under way.
                _ if done == 0 => 1,
                Some((at, fetch)) if age(at, now) < BETWEEN_REQUESTED => fetch,
                Some(_) | None => {
                    // One that is under way may have been answered before the key was made.
                    let fetch = done + 1 + u64::from(state.is_fetching);
                    state.requested = Some((now, fetch));
                    self.nudge.now();
                    fetch
                }
            }
        };
        let fetched = ended.wait_for(|done| *done >= awaited);
        let _ = tokio::time::timeout(fetch::TIMEOUT, fetched).await;
    }

    /// Fetches the set; gives the time until it is due again.
    async fn fetch(&self) -> Duration {
        self.state.lock().is_fetching = true;
        let fetched = self.fetcher.fetch().await;
        let mut state = self.state.lock();
        state.is_fetching = false;
        let due = match fetched.and_then(|fetched| self.take(&mut state, fetched)) {
            Ok(due) => due,
            Err(error) => {
                self.failed(&mut state, &error);
                let pause = error.pause();
                state.paused_until = pause.map(|pause| later(self.clock.now(), pause));
                pause.unwrap_or_default().max(AFTER_FAILURE)
            }
        };
        self.ended.send_modify(|ended| *ended += 1);
        due
    }

    fn take(&self, state: &mut State, fetched: Fetched) -> Result<Duration, FetchError> {
        let Fetched { document, fresh_for } = fetched;
        let fetched_at = self.clock.now();
        state.failures.reset();
        state.paused_until = None;
        if let Some(held) = state.held.as_mut().filter(|held| held.document == document) {
            held.fetched_at = fetched_at;
            return Ok(fresh_for);
        }
        let read = KeySet::read(&document, &self.config.algorithms);
        let (keys, ignored) = read.ok_or(FetchError::NoKeySet)?;
        if ignored != state.ignored && !ignored.is_empty() {
            let all: Vec<String> = ignored.iter().map(ToString::to_string).collect();
            tracing::warn!(
                issuer = self.config.issuer,
                ignored = all.join("; "),
                "keys of an issuer are not used"
            );
        }
        tracing::info!(issuer = self.config.issuer, "the keys of an issuer were fetched");
        state.without = keys
            .is_empty()
            .then(|| (fetched_at, "its key set has none that can be used".to_owned()));
        state.generation += 1;
        state.ignored = ignored;
        state.held = Some(Held {
            document,
            keys: Arc::new(keys),
            fetched_at,
        });
        Ok(fresh_for)
    }

    fn failed(&self, state: &mut State, error: &FetchError) {
        let reason = error.to_string();
        if state.failures.due() {
            tracing::warn!(
                issuer = self.config.issuer,
                error = chain(error),
                "the keys of an issuer cannot be fetched; those that were are used for 24 hours"
            );
        }
        if state.held.is_none() {
            let since = state
                .without
                .as_ref()
                .map_or_else(|| self.clock.now(), |(since, _)| *since);
            state.without = Some((since, reason));
        }
    }
}

/// Time since `at`; none when the clock was set back.
fn age(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

/// Keeps the keys of one issuer fresh.
pub struct KeyRefresh(Arc<Issuer>);

impl Worker for KeyRefresh {
    const NAME: &'static str = "issuer keys";

    async fn activate(&mut self) -> Turn {
        Turn::Rest(self.0.fetch().await)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use jsonwebtoken::Algorithm;
    use rstest::rstest;
    use serde_json::json;

    use super::super::config::{Grants, KeySource};
    use super::super::testing::{Provider, jwk, signed};
    use super::*;
    use crate::clock::ManualClock;
    use crate::runtime::Tasks;

    struct Stage {
        provider: Provider,
        clock: Arc<ManualClock>,
        issuer: Arc<Issuer>,
    }

    impl Stage {
        async fn new() -> Self {
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            let provider = Provider::start().await;
            let config = IssuerConfig {
                issuer: "https://idp.example".to_owned(),
                accept_issuers: vec!["https://sts.example".to_owned()],
                audience: vec!["emgate".to_owned()],
                keys: KeySource::KeySet(provider.url("/keys")),
                ca_pem: None,
                algorithms: Vec::new(),
                grants: Grants::default(),
            };
            let clock = ManualClock::at(Timestamp::from_second(1_800_000_000).expect("a moment"));
            let issuer = Arc::new(Issuer::new(&config, clock.clone()).expect("an issuer"));
            Self {
                provider,
                clock,
                issuer,
            }
        }

        async fn ask(&self, id: &str) -> Result<u64, Refusal> {
            let token = signed(Algorithm::ES256, Some(id), &json!({}));
            let jws = Jws::parse(&token).expect("a token");
            self.issuer.verify(&jws).await
        }

        fn publish(&self, id: &str) {
            self.provider.keys(&[jwk(Algorithm::ES256, Some(id))]);
        }

        fn drive(&self) -> Tasks {
            let tasks = Tasks::new();
            let (worker, nudge) = self.issuer.refresh();
            tasks.drive(worker, nudge);
            tasks
        }
    }

    #[tokio::test]
    async fn a_request_waits_for_the_fetch_at_the_start() {
        let stage = Stage::new().await;
        stage.publish("a");
        let tasks = stage.drive();
        assert_eq!(stage.ask("a").await, Ok(1));
        assert_eq!(stage.issuer.without_keys(), None);
        assert!(tasks.stop(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn an_unknown_key_causes_one_fetch_for_all_callers_in_thirty_seconds() {
        let stage = Stage::new().await;
        stage.publish("a");
        let tasks = stage.drive();
        assert_eq!(stage.ask("a").await, Ok(1));
        stage.publish("b");
        let answers = join_all((0..20).map(|_| stage.ask("b"))).await;
        assert!(answers.iter().all(|answer| *answer == Ok(2)), "{answers:?}");
        assert_eq!(
            stage.provider.asked("/keys"),
            2,
            "the fetch at the start does not count"
        );
        stage.publish("c");
        stage.clock.advance(Duration::from_secs(29));
        assert_eq!(stage.ask("c").await, Err(Refusal::UnknownKeyId));
        assert_eq!(stage.provider.asked("/keys"), 2);
        stage.clock.advance(Duration::from_secs(1));
        assert_eq!(stage.ask("c").await, Ok(3));
        assert_eq!(
            stage.ask("a").await,
            Err(Refusal::UnknownKeyId),
            "a key that was withdrawn"
        );
        assert!(tasks.stop(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn the_last_good_set_outlives_the_provider_by_a_day() {
        let stage = Stage::new().await;
        stage.publish("a");
        stage.issuer.fetch().await;
        stage
            .provider
            .raw("/keys", "HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n");
        stage.clock.advance(Duration::from_hours(23));
        assert_eq!(stage.issuer.fetch().await, AFTER_FAILURE);
        assert_eq!(stage.ask("a").await, Ok(1));
        assert_eq!(stage.issuer.without_keys(), None);
        stage.clock.advance(Duration::from_hours(1));
        assert_eq!(stage.issuer.generation(), None);
        let (since, reason) = stage.issuer.without_keys().expect("no keys");
        assert_eq!(since, stage.clock_now());
        assert!(reason.contains("24 hours"), "{reason}");
        let tasks = stage.drive();
        assert_eq!(stage.ask("a").await, Err(Refusal::KeysUnavailable));
        assert!(tasks.stop(Duration::from_secs(5)).await);
    }

    impl Stage {
        fn clock_now(&self) -> Timestamp {
            use crate::clock::Clock as _;
            self.clock.now()
        }
    }

    #[rstest]
    #[case::seconds("retry-after: 120\r\n")]
    #[case::a_date("date: Sun, 01 Mar 2026 12:00:00 GMT\r\nretry-after: Sun, 01 Mar 2026 12:02:00 GMT\r\n")]
    #[tokio::test]
    async fn a_provider_that_asks_for_a_pause_gets_it(#[case] headers: &str) {
        let stage = Stage::new().await;
        stage.publish("a");
        stage.issuer.fetch().await;
        let busy = format!("HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n");
        stage.provider.raw("/keys", busy);
        assert_eq!(stage.issuer.fetch().await, Duration::from_secs(120));
        stage.clock.advance(Duration::from_secs(119));
        assert_eq!(stage.ask("b").await, Err(Refusal::UnknownKeyId));
        assert_eq!(stage.ask("a").await, Ok(1), "the known keys count meanwhile");
        assert_eq!(stage.provider.asked("/keys"), 2);
        stage.publish("b");
        stage.clock.advance(Duration::from_secs(1));
        let tasks = stage.drive();
        assert_eq!(stage.ask("b").await, Ok(2));
        assert!(tasks.stop(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn a_failure_at_the_start_is_not_the_end() {
        let stage = Stage::new().await;
        let tasks = stage.drive();
        assert_eq!(stage.ask("a").await, Err(Refusal::KeysUnavailable));
        let (_, reason) = stage.issuer.without_keys().expect("no keys");
        assert!(reason.contains("404"), "{reason}");
        stage.publish("a");
        assert_eq!(stage.ask("a").await, Ok(1));
        assert!(tasks.stop(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn an_unchanged_set_keeps_its_generation() {
        let stage = Stage::new().await;
        stage.publish("a");
        stage.issuer.fetch().await;
        stage.issuer.fetch().await;
        assert_eq!(stage.issuer.generation(), Some(1));
        stage.publish("b");
        stage.issuer.fetch().await;
        assert_eq!(stage.issuer.generation(), Some(2));
    }

    #[tokio::test]
    async fn a_set_without_usable_keys_replaces_the_old_one() {
        let stage = Stage::new().await;
        stage.publish("a");
        stage.issuer.fetch().await;
        stage.provider.keys(&[]);
        stage.issuer.fetch().await;
        assert!(stage.issuer.without_keys().is_some());
        let mut asked = pin!(stage.ask("a"));
        assert!(
            asked.as_mut().now_or_never().is_none(),
            "another fetch is asked for"
        );
        stage.publish("a");
        stage.issuer.fetch().await;
        assert_eq!(asked.await, Ok(3));
    }

    #[tokio::test]
    async fn an_issuer_has_all_its_spellings_and_no_other() {
        let Stage { issuer, .. } = Stage::new().await;
        assert!(issuer.is_called("https://idp.example") && issuer.is_called("https://sts.example"));
        assert!(!issuer.is_called("https://idp.example/") && !issuer.is_called("HTTPS://idp.example"));
    }
}
