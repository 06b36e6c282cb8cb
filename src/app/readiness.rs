//! Whether the gateway can accept work: what `/readyz` reports, check by check.

use std::borrow::Cow;

use jiff::Timestamp;

use super::App;
use crate::store::observations::Observed;

const NOT_OBSERVED: &str = "failover sessions have not been fully observed yet";
const NOT_ASKED: &str = "the store cannot be asked for it";

impl App {
    /// Whether the gateway is ready to accept work, check by check.
    pub async fn readiness(&self) -> Readiness {
        let ahead = "it is further ahead of the time recorded in the store than downtime explains";
        let refused = "the credentials of an account are refused; the log and the metrics name it";
        let unreadable = "rows cannot be read and are skipped; the log names them";
        let checks = vec![
            self.store_check().await,
            self.baseline_check().await,
            Check::required("running", !self.tasks.stopping().is_cancelled())
                .because("the gateway is stopping"),
            self.observation_check().await,
            self.upstream_check(),
            // An EM that refuses the credentials is reachable, and useless all the same.
            Check::unless("logon", self.em.refused_since().map(|since| (since, refused))),
            Check::unless("webhooks", self.health.failing()),
            Check::unless(
                "store-rows",
                self.store.unreadable_since().map(|since| (since, unreadable)),
            ),
            Check::unless("records", self.em.damaged_records()),
            Check::unless("clock", self.store.clock_doubted().map(|since| (since, ahead))),
            // An App exists only once they are done.
            Check::required("migrations", true),
        ];
        Readiness { checks }
    }

    async fn store_check(&self) -> Check {
        let answers = self.store.ping().await.is_ok();
        let refused = self.store.refuses_writes();
        Check {
            since: refused.map(|(since, _)| since),
            reason: match refused {
                _ if !answers => Some("it does not answer".into()),
                Some((_, refusal)) => Some(refusal.reason().into()),
                None => None,
            },
            ..Check::required("store", answers && refused.is_none())
        }
    }

    async fn baseline_check(&self) -> Check {
        let looked = self.store.observation().await;
        let reason = match looked {
            Ok(_) => NOT_OBSERVED,
            Err(_) => NOT_ASKED,
        };
        Check::required("baseline", looked.is_ok_and(|number| number > 0)).because(reason)
    }

    async fn observation_check(&self) -> Check {
        let is_late = |observed: &Observed| {
            let late_after = observed.late_after;
            late_after.is_some_and(|late_after| self.clock.now() > late_after)
        };
        let (since, reason) = match self.store.observed().await {
            Ok(Some(observed)) if !is_late(&observed) => return Check::advisory("observation", true),
            Ok(Some(observed)) => (
                Some(observed.at),
                "failover sessions have not been fully observed since",
            ),
            Ok(None) => (None, NOT_OBSERVED),
            Err(_) => (None, NOT_ASKED),
        };
        Check {
            since,
            ..Check::advisory("observation", false).because(reason)
        }
    }

    fn upstream_check(&self) -> Check {
        let health = self.em.health();
        Check {
            since: health.since,
            ..Check::advisory("upstream", health.up).because("Enterprise Manager does not answer")
        }
    }
}

/// One check.
#[derive(Debug, Clone)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// Whether it passes.
    pub ok: bool,
    /// Whether the gateway cannot accept work without it.
    pub required: bool,
    /// Since when it has this status, if known.
    pub since: Option<Timestamp>,
    /// Why it fails, where that is known.
    pub reason: Option<Cow<'static, str>>,
}

impl Check {
    const fn required(name: &'static str, ok: bool) -> Self {
        Self {
            name,
            ok,
            required: true,
            since: None,
            reason: None,
        }
    }

    /// A check whose failure does not stop the gateway from accepting work.
    fn advisory(name: &'static str, ok: bool) -> Self {
        Self {
            required: false,
            ..Self::required(name, ok)
        }
    }

    /// The same, with the reason of its failure.
    fn because(self, reason: &'static str) -> Self {
        Self {
            reason: (!self.ok).then_some(reason.into()),
            ..self
        }
    }

    /// The same, with the time and the reason of its failure.
    #[must_use]
    pub fn unless(name: &'static str, fault: Option<(Timestamp, impl Into<Cow<'static, str>>)>) -> Self {
        let (since, reason) = fault.unzip();
        Self {
            since,
            reason: reason.map(Into::into),
            ..Self::advisory(name, since.is_none())
        }
    }
}

/// All checks.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// In the order in which they are reported.
    pub checks: Vec<Check>,
}

impl Readiness {
    /// Whether work can be accepted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|check| check.ok || !check.required)
    }

    /// Whether every check passes.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }
}
