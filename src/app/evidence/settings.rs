//! What is set about plans, objectives and schedules, in memory: answers about plans are made of it, and are remembered until it
//! changes (docs/behaviour.md#objectives).
//!
//! Who sets something reads it at once from the same process. Others are told by the commit (`store/notify.rs`), and ask for the
//! number of changes besides.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::app::{App, Error, OpContext};
use crate::domain::evidence::objectives::Objectives;
use crate::domain::evidence::schedule::Schedule;
use crate::domain::id::EmId;
use crate::runtime::{Turn, Worker};
use crate::store::evidence::Settings;
use crate::telemetry::Throttle;

/// The longest time until a change that another replica made is noticed, while the store answers.
const PERIOD: Duration = Duration::from_secs(2);

/// The same where nobody else can change anything.
const ALONE: Duration = Duration::from_hours(1);

/// What is set about plans, at one moment.
#[derive(Debug)]
pub struct PlanSettings {
    set: Settings,
    defaults: Arc<Objectives>,
}

impl PlanSettings {
    /// The objectives in force of a plan.
    #[must_use]
    pub fn objectives(&self, plan: &EmId) -> Objectives {
        match self.set.objectives.get(&plan.key()) {
            Some(own) => own.or(&self.defaults),
            None => Objectives::default().or(&self.defaults),
        }
    }

    /// The schedule of a plan.
    #[must_use]
    pub fn schedule(&self, plan: &EmId) -> Option<&Schedule> {
        self.set.schedules.get(&plan.key())
    }

    /// A number that is another one when something was changed.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.set.version
    }

    /// Whether any plan is to be tested at intervals.
    pub(super) fn wants_tests(&self) -> bool {
        let wanted = |objectives: &Objectives| objectives.test_every_days.is_some();
        wanted(&self.defaults) || self.set.objectives.values().any(wanted)
    }
}

/// What this process knows of it.
#[derive(Debug, Clone, Default)]
pub(in crate::app) struct KnownSettings(Arc<RwLock<Option<Arc<PlanSettings>>>>);

impl KnownSettings {
    fn get(&self) -> Option<Arc<PlanSettings>> {
        self.0.read().clone()
    }

    /// Takes what was read, unless something newer was read meanwhile; what is known then.
    fn keep(&self, read: PlanSettings) -> Arc<PlanSettings> {
        let mut known = self.0.write();
        match known.as_ref().filter(|known| known.revision() >= read.revision()) {
            Some(newer) => newer.clone(),
            None => known.insert(Arc::new(read)).clone(),
        }
    }
}

impl App {
    /// What is set about plans.
    ///
    /// # Errors
    /// [`Error::Store`], before it was read once.
    pub async fn plan_settings(&self, _context: &OpContext) -> Result<Arc<PlanSettings>, Error> {
        self.known_settings().await
    }

    pub(super) async fn known_settings(&self) -> Result<Arc<PlanSettings>, Error> {
        match self.settings.get() {
            Some(known) => Ok(known),
            None => self.read_settings().await,
        }
    }

    /// Reads it, after a change.
    pub(in crate::app) async fn read_settings(&self) -> Result<Arc<PlanSettings>, Error> {
        let read = PlanSettings {
            set: self.store.settings().await?,
            defaults: self.objectives.clone(),
        };
        Ok(self.settings.keep(read))
    }

    /// The objectives in force of these plans, as the store has them at this moment: what is kept with a failover is not what a
    /// process last heard of.
    pub(in crate::app) async fn objectives_in_force(&self, plans: &[EmId]) -> Result<Vec<Objectives>, Error> {
        let own: HashMap<String, Objectives> = self.store.objectives(plans).await?;
        let none = Objectives::default();
        Ok(plans
            .iter()
            .map(|plan| own.get(&plan.key()).unwrap_or(&none).or(&self.objectives))
            .collect())
    }
}

/// The worker that notices what other replicas change.
pub struct SettingsKeeper {
    app: App,
    reminder: Throttle,
}

impl SettingsKeeper {
    /// Of what these verbs know.
    #[must_use]
    pub fn new(app: &App) -> Self {
        Self {
            app: app.for_workers(),
            reminder: Throttle::reminder(),
        }
    }

    async fn look(&self) -> Result<(), Error> {
        let known = self.app.settings.get().map(|known| known.revision());
        if known != Some(self.app.store.settings_version().await?) {
            self.app.read_settings().await?;
        }
        Ok(())
    }
}

impl Worker for SettingsKeeper {
    const NAME: &'static str = "plan-settings";

    async fn activate(&mut self) -> Turn {
        let done = self.look().await;
        let known = self.reminder.tell(
            done,
            "objectives and schedules of plans could not be read; the last ones known are shown",
        );
        let may_rest = known.is_some() && !self.app.store.is_shared();
        Turn::Rest(if may_rest { ALONE } else { PERIOD })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_later_and_is_older_is_not_taken() {
        let of = |version| PlanSettings {
            set: Settings {
                version,
                ..Settings::default()
            },
            defaults: Arc::default(),
        };
        let known = KnownSettings::default();
        assert_eq!(known.keep(of(2)).revision(), 2);
        assert_eq!(known.keep(of(1)).revision(), 2);
        assert_eq!(known.keep(of(3)).revision(), 3);
    }
}
