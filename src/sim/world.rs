//! The state of EM: backup servers, plans of both kinds, failover sessions, logon sessions and their tasks.
//!
//! The world holds facts with their times and computes everything else from the clock. It knows no HTTP and
//! no XML. Resources beyond failover (jobs, repositories, …) are computed beside it, in `generic`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::changes::Changes;
use super::damage::Damages;
use super::dice::Dice;
use super::failover::{Failover, Machine, Outcome, Scenario, Tempo};
use super::inventory::{BackupServer, Kind, Plan};
use super::logon::Logons;
use super::options::Options;
use super::seed;

/// Session collections and queries reach back that far.
const WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The most failover sessions that are kept.
const MAX_FAILOVERS: usize = 100_000;
/// The most different request lines that are counted.
const MAX_COUNTED: usize = 20_000;

/// Counters of the control API.
#[derive(Debug, Default)]
pub struct Stats {
    pub logons: u64,
    pub logoffs: u64,
    pub max_concurrent: usize,
    pub requests: BTreeMap<String, u64>,
    /// Those of them that were refused with 401, and did nothing.
    pub unauthorized: BTreeMap<String, u64>,
}

impl Stats {
    /// Counts a request by its method and its path as sent, without the query.
    pub fn count(&mut self, method: &str, path: &str) {
        one_more(&mut self.requests, method, path);
    }

    /// Counts it among those that were refused with 401.
    pub fn count_unauthorized(&mut self, method: &str, path: &str) {
        one_more(&mut self.unauthorized, method, path);
    }
}

fn one_more(counters: &mut BTreeMap<String, u64>, method: &str, path: &str) {
    let key = format!("{method} {path}");
    let known = counters.len() < MAX_COUNTED || counters.contains_key(&key);
    let key = if known { key } else { "other".to_owned() };
    *counters.entry(key).or_default() += 1;
}

/// The simulator keeps no more sessions.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// Everything.
#[derive(Debug)]
pub struct World {
    pub options: Options,
    pub tempo: Tempo,
    pub dice: Dice,
    /// What the values of everything beyond failover are thrown with.
    pub seed: u64,
    /// When the simulator began; what has a history has it from then backwards.
    pub born: Timestamp,
    /// What requests changed of everything beyond failover.
    pub changes: Changes,
    pub servers: Vec<BackupServer>,
    pub plans: Vec<Plan>,
    pub failovers: Vec<Failover>,
    pub logons: Logons,
    pub stats: Stats,
    /// Records that are damaged on order.
    pub damages: Damages,
    /// How API-started failovers of a plan end, where the control API said so.
    pub outcomes: BTreeMap<Uuid, Scenario>,
}

impl World {
    /// The world at the moment `now`, as the options want it.
    pub fn new(options: Options, seed: u64, now: Timestamp) -> Self {
        let tempo = Tempo {
            speed: options.speed,
            progress_zero: options.progress_zero,
        };
        let servers = seed::servers();
        let mut plans = seed::plans(Kind::Cloud, options.plans, options.vms, servers.len());
        plans.extend(seed::plans(
            Kind::OnPremises,
            options.plans,
            options.vms,
            servers.len(),
        ));
        let mut world = Self {
            tempo,
            dice: Dice::new(seed),
            seed,
            born: now,
            changes: Changes::default(),
            servers,
            plans,
            failovers: Vec::new(),
            logons: Logons::default(),
            stats: Stats::default(),
            damages: Damages::default(),
            outcomes: BTreeMap::new(),
            options,
        };
        world.add_history(now);
        world
    }

    /// Finished sessions of the past, one every seven hours back from `now`; a few are older than the window.
    fn add_history(&mut self, now: Timestamp) {
        let cloud: Vec<Plan> = self.plans_of(Kind::Cloud, now).cloned().collect();
        for (index, plan) in cloud
            .iter()
            .cycle()
            .take(if cloud.is_empty() { 0 } else { self.options.history })
            .enumerate()
        {
            let hours = 7 * (i64::try_from(index).unwrap_or(0) + 1);
            let started = now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(now);
            let scenario = match index % 5 {
                3 => Scenario {
                    seconds: 100.0 * self.tempo.speed,
                    outcome: Outcome::Failed,
                    failure_message: Some("Host is not available".to_owned()),
                },
                _ => Scenario {
                    seconds: 80.0 * self.tempo.speed,
                    outcome: Outcome::Success,
                    failure_message: None,
                },
            };
            let failover = self.new_failover(plan, started, started, scenario);
            self.failovers.push(failover);
        }
    }

    /// Drops the logon sessions that were idle for too long.
    pub fn expire_logons(&mut self, now: Timestamp) {
        let idle = SignedDuration::try_from_secs_f64(self.options.idle).unwrap_or(SignedDuration::MAX);
        self.logons.expire(now, idle);
    }

    /// The plans of one kind that exist at that moment.
    pub fn plans_of(&self, kind: Kind, now: Timestamp) -> impl Iterator<Item = &Plan> {
        self.plans
            .iter()
            .filter(move |plan| plan.kind == kind && plan.exists(now))
    }

    /// The plan of that kind and id, if it exists at that moment.
    pub fn plan(&self, kind: Kind, id: Uuid, now: Timestamp) -> Option<&Plan> {
        self.plans_of(kind, now).find(|plan| plan.id == id)
    }

    /// The same, to be changed.
    pub fn plan_mut(&mut self, id: Uuid) -> Option<&mut Plan> {
        self.plans.iter_mut().find(|plan| plan.id == id)
    }

    /// Whether the plan is at work at that moment.
    pub fn busy(&self, plan: &Plan, now: Timestamp) -> bool {
        plan.busy_until.is_some_and(|until| now < until)
            || self
                .failovers
                .iter()
                .any(|failover| failover.plan_id == plan.id && failover.unfinished(now, self.tempo))
    }

    /// The sessions that EM shows at that moment: begun, and not older than its window.
    pub fn sessions(&self, now: Timestamp) -> impl Iterator<Item = &Failover> {
        let oldest = now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
        self.failovers
            .iter()
            .filter(move |failover| failover.visible(now) && failover.started >= oldest)
    }

    /// Removes all replica points of cloud plans, as retention does.
    pub fn remove_points(&mut self) {
        let machines = self.plans.iter().flat_map(|plan| &plan.machines);
        let points: Vec<Uuid> = machines.map(|machine| machine.replica_point).collect();
        for point in points {
            self.changes.remove(point);
        }
    }

    /// A night's replication: every machine has a new replica point, and the one before is gone.
    pub fn replicate(&mut self, now: Timestamp) {
        let machines = self.plans.iter_mut().flat_map(|plan| &mut plan.machines);
        for machine in machines {
            machine.replica_point = self.dice.id();
            machine.replicated_at = Some(now);
        }
    }

    /// Whether a failover that is at work uses the replica point.
    pub fn uses(&self, point: Uuid, now: Timestamp) -> bool {
        let unfinished = self
            .failovers
            .iter()
            .filter(|one| one.unfinished(now, self.tempo));
        unfinished.into_iter().any(|one| one.uses(point))
    }

    /// Begins a failover of a cloud plan from the last replica points before `restore_before`; EM shows the
    /// session `delay` simulated seconds later. Gives the session's id. Whether the plan is at work already is for
    /// the caller to ask.
    pub fn start(
        &mut self,
        plan: &Plan,
        now: Timestamp,
        delay: f64,
        restore_before: Timestamp,
        scenario: Option<Scenario>,
    ) -> Result<Uuid, Full> {
        if self.failovers.len() >= MAX_FAILOVERS {
            let oldest = now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN);
            self.failovers.retain(|failover| failover.started >= oldest);
        }
        if self.failovers.len() >= MAX_FAILOVERS {
            return Err(Full);
        }
        let scenario = scenario
            .or_else(|| self.outcomes.get(&plan.id).cloned())
            .unwrap_or(Scenario {
                seconds: Self::usual_seconds(plan),
                outcome: Outcome::Success,
                failure_message: None,
            });
        let started = self.tempo.after(now, delay);
        let failover = self.new_failover(plan, started, restore_before, scenario);
        let id = failover.id;
        self.failovers.push(failover);
        Ok(id)
    }

    /// How long a failover of that plan takes by default, in simulated seconds.
    pub fn usual_seconds(plan: &Plan) -> f64 {
        20.0 + 5.0 * plan.machines.len().min(20) as f64
    }

    fn new_failover(
        &mut self,
        plan: &Plan,
        started: Timestamp,
        restore_before: Timestamp,
        scenario: Scenario,
    ) -> Failover {
        let machines = plan
            .machines
            .iter()
            .map(|machine| Machine {
                name: machine.name.clone(),
                replica_point: machine.replica_point,
                replica_point_name: format!(
                    "{}@{}",
                    machine.name,
                    seed::replica_time(machine, restore_before)
                ),
            })
            .collect();
        let id = self.dice.id();
        Failover::new(
            id,
            (plan.id, plan.name.clone(), plan.server),
            machines,
            started,
            scenario,
        )
    }
}

impl Plan {
    /// Whether the plan exists at that moment.
    pub fn exists(&self, now: Timestamp) -> bool {
        self.deleted_at.is_none_or(|deleted| now < deleted)
    }
}
