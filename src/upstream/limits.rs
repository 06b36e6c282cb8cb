//! How long a request to EM may take: one limit for each class of request, all derived from two keys.
//!
//! A limit cut short costs something else in each class, which is why there are classes: a read is asked for again, a
//! page that never comes leaves the watcher blind, an action leaves its outcome unknown for minutes, a logon leaves a
//! session that is never closed. `C` = `upstream.connect_timeout`, `R` = `upstream.request_timeout`.
//!
//! | class | limit | by default |
//! |---|---|---|
//! | [`Class::Logon`] | C + R | 35 s |
//! | [`Class::Logoff`], [`Class::Probe`] | C + R, 5 s at the most | 5 s |
//! | [`Class::Read`] | C + R | 35 s |
//! | [`Class::Page`] | C + 2 R | 65 s |
//! | [`Class::Action`] | C + 1.5 R | 50 s |
//! | [`Class::Download`] | C + R to the headers, then R from bytes to bytes | 35 s, 30 s |
//!
//! Opening the connection has a limit of its own, C, and always ends before the others: a timeout while connecting is
//! never mistaken for one after sending.

use std::time::Duration;

use super::config::Config;

/// The longest time for something small that callers should not wait for.
const BRIEF: Duration = Duration::from_secs(5);

/// What kind of request it is, as far as patience goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// EM's versions, and logging on: callers wait for it, and EM asks a directory.
    Logon,
    /// Logging off: no caller waits, and EM drops the session by itself.
    Logoff,
    /// Whether a session lives: a caller's request is held up by it, and "unknown" is an answer.
    Probe,
    /// GET: a caller waits, and may ask again.
    Read,
    /// A page of what the watcher reads: no caller waits, and EM sorts a month of sessions for it.
    Page,
    /// Whatever changes EM. More than a read, because an outcome that was missed by a second is looked for at length;
    /// with the defaults still less than the 60 s that callers get.
    Action,
    /// A file, up to its headers. It may be of any length, so only the pauses in it are bounded.
    Download,
}

/// The limits of one configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    connect: Duration,
    request: Duration,
}

impl Limits {
    pub const fn new(config: &Config) -> Self {
        Self {
            connect: config.connect_timeout,
            request: config.request_timeout,
        }
    }

    /// The longest that a request of that class may take, from the connection to the last byte.
    pub fn of(&self, class: Class) -> Duration {
        let (connect, request) = (self.connect, self.request);
        match class {
            Class::Logon | Class::Read | Class::Download => connect + request,
            Class::Logoff | Class::Probe => (connect + request).min(BRIEF),
            Class::Page => connect + request * 2,
            Class::Action => connect + request * 3 / 2,
        }
    }

    /// The longest pause between two pieces of a file.
    pub const fn pause(&self) -> Duration {
        self.request
    }

    /// The longest wait for a slot in a logon session: long enough that callers who wait for a logon learn how it ended.
    pub fn lease(&self) -> Duration {
        self.of(Class::Logon) + self.of(Class::Probe)
    }

    /// How long after a request began a new attempt may still be decided on, its session having turned out dead.
    pub fn again(&self) -> Duration {
        self.of(Class::Read)
    }

    /// The longest that an action can take, its logon and its one new attempt included.
    pub fn action_in_all(&self) -> Duration {
        // A first attempt that leaves time for a second is over by then, lease and all. Then come a probe, a lease, the
        // second request, and a probe of its session.
        self.again() + self.of(Class::Probe) * 2 + self.lease() + self.of(Class::Action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [Class; 7] = [
        Class::Logon,
        Class::Logoff,
        Class::Probe,
        Class::Read,
        Class::Page,
        Class::Action,
        Class::Download,
    ];

    fn limits(connect: u64, request: u64) -> Limits {
        Limits {
            connect: Duration::from_millis(connect),
            request: Duration::from_millis(request),
        }
    }

    #[test]
    fn the_table_above_is_true_for_the_defaults() {
        let limits = limits(5_000, 30_000);
        let seconds = CLASSES.map(|class| limits.of(class).as_secs());
        assert_eq!(seconds, [35, 5, 5, 35, 65, 50, 35]);
        assert_eq!(limits.pause().as_secs(), 30);
    }

    #[test]
    fn an_action_has_more_time_than_a_read_whatever_is_configured() {
        for connect in [10, 500, 5_000, 3_600_000] {
            for request in [10, 1_500, 30_000, 3_600_000] {
                let limits = limits(connect, request);
                assert!(limits.of(Class::Action) > limits.of(Class::Read));
                assert!(limits.of(Class::Page) > limits.of(Class::Action));
                assert!(limits.lease() > limits.of(Class::Logon), "{connect} {request}");
                assert!(limits.action_in_all() > limits.of(Class::Action) + limits.lease());
                for class in CLASSES {
                    let limit = limits.of(class);
                    assert!(
                        limit > limits.connect || limit == BRIEF,
                        "{class:?} {connect} {request}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_action_that_em_never_answers_ends_before_the_callers_deadline() {
        // `server.request_timeout`; a session is there already.
        assert!(limits(5_000, 30_000).of(Class::Action) < Duration::from_secs(60));
    }
}
