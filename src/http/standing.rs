//! What is left of a caller's limits, and how answers say it (draft-ietf-httpapi-ratelimit-headers).

use std::fmt::Write as _;

use axum::http::HeaderValue;
use bytes::BytesMut;

use super::config::Limits;

/// What is left of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its name.
    pub limit: &'static str,
    /// Requests that may be made at once.
    pub remaining: u32,
    /// Seconds until the whole burst may be made again.
    pub whole_in: u64,
}

/// The value of `RateLimit-Policy`: each limit's quota and window, and the burst within.
pub(super) fn policy(limits: &Limits) -> Option<HeaderValue> {
    let text = format!(
        "\"requests\";q={};w=60;burst={}, \"actions\";q={};w=60",
        limits.requests_per_minute, limits.burst, limits.actions_per_minute
    );
    HeaderValue::from_str(&text).ok()
}

/// What is left of the limits that one request counts in: that of requests, and that of actions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standings([Option<Standing>; 2]);

impl Standings {
    /// Adds one; there is room for all that there are.
    pub(super) fn add(&mut self, standing: Standing) {
        if let Some(free) = self.0.iter_mut().find(|place| place.is_none()) {
            *free = Some(standing);
        }
    }
}

/// The value of `RateLimit`: what is left of each limit, and when all of it is there again.
pub(super) fn remaining(standings: &Standings) -> Option<HeaderValue> {
    let mut text = BytesMut::with_capacity(64);
    for (place, standing) in standings.0.iter().flatten().enumerate() {
        let Standing {
            limit,
            remaining,
            whole_in,
        } = standing;
        let separator = if place > 0 { ", " } else { "" };
        write!(text, "{separator}\"{limit}\";r={remaining};t={whole_in}").ok()?;
    }
    (!text.is_empty()).then(|| HeaderValue::from_maybe_shared(text.freeze()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_name_quota_window_and_what_is_left() {
        let policy = policy(&Limits::default()).expect("a value");
        assert_eq!(policy, "\"requests\";q=600;w=60;burst=60, \"actions\";q=30;w=60");
        let standing = |limit, remaining, whole_in| Standing {
            limit,
            remaining,
            whole_in,
        };
        let mut both = Standings::default();
        assert_eq!(remaining(&both), None);
        both.add(standing("requests", 59, 1));
        both.add(standing("actions", 29, 2));
        let value = remaining(&both).expect("a value");
        assert_eq!(value, "\"requests\";r=59;t=1, \"actions\";r=29;t=2");
    }
}
