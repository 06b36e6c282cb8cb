//! What is left of a caller's limits, and how answers say it (draft-ietf-httpapi-ratelimit-headers).

use axum::http::HeaderValue;

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

/// The value of `RateLimit`: what is left of each limit, and when all of it is there again.
pub(super) fn remaining(standings: &[Standing]) -> Option<HeaderValue> {
    let each = |standing: &Standing| {
        let Standing {
            limit,
            remaining,
            whole_in,
        } = standing;
        format!("\"{limit}\";r={remaining};t={whole_in}")
    };
    let text: Vec<String> = standings.iter().map(each).collect();
    (!text.is_empty()).then(|| HeaderValue::from_str(&text.join(", ")).ok())?
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
        let both = [standing("requests", 59, 1), standing("actions", 29, 2)];
        let value = remaining(&both).expect("a value");
        assert_eq!(value, "\"requests\";r=59;t=1, \"actions\";r=29;t=2");
        assert_eq!(remaining(&[]), None);
    }
}
