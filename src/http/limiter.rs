//! How many requests a subject or an address may make (docs/behaviour.md#limits).
//!
//! Each limit is a bucket that holds a burst and is refilled evenly (GCRA, by the crate `governor`). Memory is bounded by
//! construction: subjects and addresses are hashed, under a key of this process, onto a fixed number of buckets.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::config::Limits;
use super::context::RequestContext;
use super::problem::{Code, Problem};
use super::standing::Standing;
use crate::domain::access::Caller;

/// Buckets of each limit. Two of a hundred active subjects share one with a probability of 4 %; all full, they take some MB.
const BUCKETS: u64 = 1 << 17;

/// The limits of all subjects and addresses.
pub struct Limiter {
    requests: Bucket,
    actions: Bucket,
    anonymous: Bucket,
    hashing: RandomState,
}

/// One limit.
struct Bucket {
    /// Its name in `RateLimit` and `RateLimit-Policy`.
    name: &'static str,
    per_minute: NonZeroU32,
    burst: NonZeroU32,
    limiter: RateLimiter<u32, HashMapStateStore<u32>, DefaultClock, StateInformationMiddleware>,
}

impl Limiter {
    /// Limits that nobody has used yet.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let whole = |per_minute| (per_minute, per_minute);
        let bucket = |name, (per_minute, burst): (NonZeroU32, NonZeroU32)| Bucket {
            name,
            per_minute,
            burst,
            limiter: RateLimiter::hashmap(Quota::per_minute(per_minute).allow_burst(burst)).with_middleware(),
        };
        Self {
            requests: bucket("requests", (limits.requests_per_minute, limits.burst)),
            actions: bucket("actions", whole(limits.actions_per_minute)),
            anonymous: bucket("anonymous", whole(limits.anonymous_per_minute)),
            hashing: RandomState::new(),
        }
    }

    /// Counts a request that has no valid token.
    ///
    /// # Errors
    /// 429 when its address has made too many.
    pub(super) fn anonymous(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        let taken = self.anonymous.take(self.key(address.map(network)));
        taken.map(drop).map_err(|wait| {
            over(
                "too many requests without a valid token came from this address",
                wait,
            )
        })
    }

    fn key(&self, whose: impl Hash) -> u32 {
        u32::try_from(self.hashing.hash_one(whose) % BUCKETS).unwrap_or_default()
    }
}

impl Bucket {
    /// Takes one; else the time until there is one again.
    fn take(&self, key: u32) -> Result<Standing, Duration> {
        match self.limiter.check_key(&key) {
            Ok(state) => Ok(self.standing(state.remaining_burst_capacity())),
            Err(not_until) => Err(not_until.wait_time_from(DefaultClock::default().now())),
        }
    }

    fn standing(&self, remaining: u32) -> Standing {
        let missing = u64::from(self.burst.get().saturating_sub(remaining));
        Standing {
            limit: self.name,
            remaining,
            whole_in: (missing * 60).div_ceil(u64::from(self.per_minute.get())).max(1),
        }
    }
}

fn over(why: &str, wait: Duration) -> Problem {
    Problem::new(Code::RateLimited, why).retry_after(Some(wait))
}

/// The network that one customer has: an address of IPv4, and what providers assign at least of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            [a, b, c, d, 0, 0, 0, 0].into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What a request with a valid token may still take, of its subject's limits.
#[derive(Clone)]
pub(super) struct Allowance {
    limiter: Arc<Limiter>,
    key: u32,
    context: RequestContext,
}

impl Allowance {
    pub(super) fn new(limiter: Arc<Limiter>, caller: &Caller, context: RequestContext) -> Self {
        let key = limiter.key((&caller.issuer, &caller.name));
        Self {
            limiter,
            key,
            context,
        }
    }

    /// Counts the request.
    ///
    /// # Errors
    /// 429 when the subject has made too many.
    pub(super) fn take_request(&self) -> Result<(), Problem> {
        self.take(
            &self.limiter.requests,
            "too many requests were made with this subject",
        )
    }

    /// Counts the request as an action as well.
    ///
    /// # Errors
    /// 429 when the subject has requested too many.
    pub(super) fn take_action(&self) -> Result<(), Problem> {
        self.take(
            &self.limiter.actions,
            "too many actions were requested with this subject",
        )
    }

    fn take(&self, bucket: &Bucket, why: &str) -> Result<(), Problem> {
        let taken = bucket.take(self.key);
        self.context
            .add_standing(taken.unwrap_or_else(|_| bucket.standing(0)));
        taken.map(drop).map_err(|wait| over(why, wait))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("not zero")
    }

    fn limits() -> Limits {
        Limits {
            requests_per_minute: count(6),
            burst: count(3),
            anonymous_per_minute: count(2),
            ..Limits::default()
        }
    }

    #[test]
    fn a_burst_is_counted_down_and_then_refused_until_it_is_refilled() {
        let limiter = Limiter::new(&limits());
        let left: Vec<_> = (0..3).map(|_| limiter.requests.take(1)).collect();
        let standing = |remaining, whole_in| Standing {
            limit: "requests",
            remaining,
            whole_in,
        };
        assert_eq!(
            left,
            [Ok(standing(2, 10)), Ok(standing(1, 20)), Ok(standing(0, 30))]
        );
        let wait = limiter.requests.take(1).expect_err("used up");
        assert!(
            wait <= Duration::from_secs(10) && wait > Duration::from_secs(5),
            "{wait:?}"
        );
        assert!(limiter.requests.take(2).is_ok(), "another has its own");
    }

    #[rstest]
    #[case("192.0.2.1", "192.0.2.1", true)]
    #[case("192.0.2.1", "192.0.2.2", false)]
    #[case("192.0.2.1", "::ffff:192.0.2.1", true)]
    #[case("2001:db8:0:1::1", "2001:db8:0:1:ffff::9", true)]
    #[case("2001:db8:0:1::1", "2001:db8:0:2::1", false)]
    fn one_network_has_one_limit(#[case] one: &str, #[case] other: &str, #[case] same: bool) {
        let [one, other] = [one, other].map(|text| network(text.parse().expect("an address")));
        assert_eq!(one == other, same);
    }

    #[test]
    fn addresses_without_number_take_no_more_memory_than_the_buckets() {
        let limiter = Limiter::new(&limits());
        for number in 0..300_000_u128 {
            let address = IpAddr::V6((number << 64).into());
            let _ = limiter.anonymous(Some(address));
        }
        let buckets = u64::try_from(limiter.anonymous.limiter.len()).expect("a number");
        assert!(buckets <= BUCKETS, "{buckets}");
    }
}
