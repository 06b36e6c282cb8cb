//! The life of one failover session as a pure function of the time.
//!
//! Nothing ticks: a session is computed for the time at which it is read. A script fixed at the start says
//! when each machine begins and ends, so two reads at the same moment agree, whatever was asked in between.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::dice::Dice;

/// How a session or a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Warning,
    Failed,
    /// Stopped, and the result stays None for ever: EM was seen to forget it.
    None,
}

impl Outcome {
    /// EM's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Warning => "Warning",
            Self::Failed => "Failed",
            Self::None => "None",
        }
    }

    /// The outcome of that name, whatever its letter case.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Success, Self::Warning, Self::Failed, Self::None]
            .into_iter()
            .find(|outcome| outcome.name().eq_ignore_ascii_case(name))
    }
}

/// EM's session states, in the order in which a session goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Starting,
    Working,
    Stopping,
    Stopped,
}

impl State {
    /// EM's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Working => "Working",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
        }
    }
}

/// How fast the simulated world goes: simulated seconds per real second, and whether progress is shown.
#[derive(Debug, Clone, Copy)]
pub struct Tempo {
    pub speed: f64,
    pub progress_zero: bool,
}

impl Tempo {
    /// How long simulated seconds take in real time.
    pub fn real(self, simulated_seconds: f64) -> SignedDuration {
        SignedDuration::try_from_secs_f64(simulated_seconds / self.speed).unwrap_or(SignedDuration::MAX)
    }

    /// Simulated seconds from one moment to another; negative when `to` lies before `from`.
    pub fn simulated(self, from: Timestamp, to: Timestamp) -> f64 {
        to.duration_since(from).as_secs_f64() * self.speed
    }

    /// The moment that lies so many simulated seconds after another.
    pub fn after(self, from: Timestamp, simulated_seconds: f64) -> Timestamp {
        from.checked_add(self.real(simulated_seconds))
            .unwrap_or(Timestamp::MAX)
    }
}

/// A machine of a plan as it takes part in a failover.
#[derive(Debug, Clone)]
pub struct Machine {
    pub name: String,
    pub replica_point: Uuid,
    pub replica_point_name: String,
}

/// What a failover is going to be.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Simulated seconds from start to Stopped.
    pub seconds: f64,
    pub outcome: Outcome,
    pub failure_message: Option<String>,
}

/// One failover session.
#[derive(Debug, Clone)]
pub struct Failover {
    pub id: Uuid,
    pub plan_id: Uuid,
    pub plan_name: String,
    /// Index of the backup server.
    pub server: usize,
    /// From when on EM knows the session; before that it is invisible.
    pub started: Timestamp,
    /// Somebody stopped it at this moment.
    pub stopped: Option<Timestamp>,
    scenario: Scenario,
    machines: Vec<(Machine, Span)>,
}

/// A machine's part of the whole, as shares of the session's length.
#[derive(Debug, Clone, Copy)]
struct Span {
    begins: f64,
    ends: f64,
}

/// What a session is at one moment.
#[derive(Debug)]
pub struct Snapshot<'a> {
    pub state: State,
    pub outcome: Outcome,
    pub progress: u8,
    pub ended: Option<Timestamp>,
    pub failure_message: Option<&'a str>,
    pub machines: Vec<MachineSnapshot<'a>>,
}

/// What a machine's part of a session is at one moment.
#[derive(Debug)]
pub struct MachineSnapshot<'a> {
    pub machine: &'a Machine,
    pub state: State,
    pub outcome: Outcome,
    pub progress: u8,
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    pub failure_message: Option<&'a str>,
}

/// Simulated seconds that a stopped session needs to come to rest.
const STOPPING_SECONDS: f64 = 2.0;
const STOPPED_MESSAGE: &str = "The operation was stopped by a user";
/// Shares of the session's length at which it leaves Starting and enters Stopping.
const WORKING_FROM: f64 = 0.04;
const STOPPING_FROM: f64 = 0.96;

impl Failover {
    /// A session that EM starts at `started`.
    pub fn new(
        id: Uuid,
        plan: (Uuid, String, usize),
        machines: Vec<Machine>,
        started: Timestamp,
        scenario: Scenario,
    ) -> Self {
        let mut dice = Dice::from_id(id);
        let count = machines.len().max(1) as f64;
        let machines = machines
            .into_iter()
            .enumerate()
            .map(|(index, machine)| {
                // One after the other, overlapping; the last one ends shortly before the session does.
                let begins = WORKING_FROM + 0.5 * index as f64 / count;
                let ends = (begins + 0.36 + 0.08 * dice.fraction()).min(STOPPING_FROM);
                (machine, Span { begins, ends })
            })
            .collect();
        let (plan_id, plan_name, server) = plan;
        Self {
            id,
            plan_id,
            plan_name,
            server,
            started,
            stopped: None,
            scenario,
            machines,
        }
    }

    /// Whether EM shows the session at that moment.
    pub fn visible(&self, now: Timestamp) -> bool {
        now >= self.started && self.stopped.is_none_or(|stopped| stopped >= self.started)
    }

    /// Whether the session, shown already or not, is still going to work at that moment.
    pub fn unfinished(&self, now: Timestamp, tempo: Tempo) -> bool {
        now < self.end(tempo) && self.stopped.is_none_or(|stopped| stopped >= self.started)
    }

    /// Whether one of its machines is started from the replica point.
    pub fn uses(&self, point: Uuid) -> bool {
        self.machines
            .iter()
            .any(|(machine, _)| machine.replica_point == point)
    }

    /// Stops the session; without effect when it has ended or was stopped before.
    pub fn stop(&mut self, now: Timestamp, tempo: Tempo) {
        if self.stopped.is_none() && now < self.end(tempo) {
            self.stopped = Some(now);
        }
    }

    /// The moment at which the session is, or is going to be, Stopped.
    pub fn end(&self, tempo: Tempo) -> Timestamp {
        match self.stopped {
            Some(stopped) => tempo.after(stopped, STOPPING_SECONDS),
            None => tempo.after(self.started, self.scenario.seconds),
        }
    }

    /// The session at that moment.
    pub fn at(&self, now: Timestamp, tempo: Tempo) -> Snapshot<'_> {
        let end = self.end(tempo);
        let over = now >= end;
        let share = self.share(now, tempo);
        let state = match self.stopped {
            _ if over => State::Stopped,
            Some(stopped) if now >= stopped => State::Stopping,
            _ if share < WORKING_FROM => State::Starting,
            _ if share < STOPPING_FROM => State::Working,
            _ => State::Stopping,
        };
        let failed = self.stopped.is_some().then_some(STOPPED_MESSAGE);
        let message = failed.or(self.scenario.failure_message.as_deref());
        let outcome = if failed.is_some() {
            Outcome::Failed
        } else {
            self.scenario.outcome
        };
        let machines: Vec<_> = (0..self.machines.len())
            .filter_map(|index| self.machine_at(index, now, tempo))
            .collect();
        let mean = machines
            .iter()
            .map(|machine| u32::from(machine.progress))
            .sum::<u32>()
            / u32::try_from(machines.len().max(1)).unwrap_or(1);
        let progress = match (over, tempo.progress_zero) {
            (_, true) => 0,
            (true, false) => 100,
            (false, false) => u8::try_from(mean.min(99)).unwrap_or(99),
        };
        Snapshot {
            state,
            outcome: if over { outcome } else { Outcome::None },
            progress,
            ended: over.then_some(end),
            failure_message: message.filter(|_| over && !matches!(outcome, Outcome::Success)),
            machines,
        }
    }

    /// How much of the session's length has passed; it does not grow after the session was stopped.
    fn share(&self, now: Timestamp, tempo: Tempo) -> f64 {
        let now = self.stopped.map_or(now, |stopped| now.min(stopped));
        (tempo.simulated(self.started, now) / self.scenario.seconds.max(0.001)).clamp(0.0, 1.0)
    }

    fn machine_at(&self, index: usize, now: Timestamp, tempo: Tempo) -> Option<MachineSnapshot<'_>> {
        let (machine, span) = self.machines.get(index)?;
        let share = self.share(now, tempo);
        let last = index + 1 == self.machines.len();
        let finished = share >= span.ends;
        let cut = !finished && self.stopped.is_some() && now >= self.end(tempo);
        let state = match () {
            () if finished || cut => State::Stopped,
            () if share < span.begins => State::Starting,
            () => State::Working,
        };
        // A session fails or warns because of its last machine; all the others are fine.
        let outcome = match state {
            State::Stopped if cut => Outcome::Failed,
            State::Stopped if last => self.scenario.outcome,
            State::Stopped => Outcome::Success,
            _ => Outcome::None,
        };
        let failure_message = match outcome {
            Outcome::Failed | Outcome::Warning if cut => Some(STOPPED_MESSAGE),
            Outcome::Failed | Outcome::Warning => self.scenario.failure_message.as_deref(),
            Outcome::Success | Outcome::None => None,
        };
        let done = ((share - span.begins) / (span.ends - span.begins).max(0.001)).clamp(0.0, 1.0);
        let moment = |share: f64| tempo.after(self.started, share * self.scenario.seconds);
        Some(MachineSnapshot {
            machine,
            state,
            outcome,
            progress: if tempo.progress_zero { 0 } else { percent(done) },
            // The row of a machine that waits for its turn was made with the session.
            started: match state {
                State::Starting => self.started,
                State::Working | State::Stopping | State::Stopped => moment(span.begins.min(share)),
            },
            ended: match state {
                State::Stopped if cut => Some(self.end(tempo)),
                State::Stopped => Some(moment(span.ends)),
                _ => None,
            },
            failure_message,
        })
    }
}

/// A share between 0 and 1 as whole percent, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the share is clamped, so the product lies between 0 and 100"
)]
fn percent(share: f64) -> u8 {
    (share.clamp(0.0, 1.0) * 100.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(outcome: Outcome) -> (Failover, Tempo) {
        let machine = |name: &str| Machine {
            name: name.to_owned(),
            replica_point: Uuid::nil(),
            replica_point_name: String::new(),
        };
        let failover = Failover::new(
            Uuid::nil(),
            (Uuid::nil(), "plan".to_owned(), 0),
            vec![machine("a"), machine("b")],
            Timestamp::UNIX_EPOCH,
            Scenario {
                seconds: 100.0,
                outcome,
                failure_message: Some("broken".to_owned()),
            },
        );
        (
            failover,
            Tempo {
                speed: 10.0,
                progress_zero: false,
            },
        )
    }

    fn at(seconds: f64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::try_from_secs_f64(seconds).unwrap()
    }

    #[test]
    fn states_and_progress_never_go_back() {
        let (failover, tempo) = example(Outcome::Success);
        let mut before = (0, 0);
        for tenths in 0..120 {
            let snapshot = failover.at(at(f64::from(tenths) / 10.0), tempo);
            let now = (snapshot.state as u8, snapshot.progress);
            assert!(now.0 >= before.0 && now.1 >= before.1, "{before:?} {now:?}");
            let over = tenths >= 100;
            assert_eq!(snapshot.state == State::Stopped, over);
            assert_eq!(snapshot.ended.is_some(), over);
            assert_eq!(snapshot.outcome == Outcome::Success, over);
            before = now;
        }
        assert_eq!(before.1, 100);
    }

    #[test]
    fn a_failing_session_fails_by_its_last_machine() {
        let (failover, tempo) = example(Outcome::Failed);
        let snapshot = failover.at(at(11.0), tempo);
        assert_eq!(snapshot.failure_message, Some("broken"));
        assert_eq!(snapshot.machines[0].outcome, Outcome::Success);
        assert_eq!(snapshot.machines[1].outcome, Outcome::Failed);
        assert!(failover.at(at(5.0), tempo).failure_message.is_none());
    }

    #[test]
    fn a_stopped_session_comes_to_rest_as_failed() {
        let (mut failover, tempo) = example(Outcome::Success);
        failover.stop(at(3.0), tempo);
        assert_eq!(failover.at(at(3.1), tempo).state, State::Stopping);
        let snapshot = failover.at(at(3.3), tempo);
        assert_eq!(
            (snapshot.state, snapshot.outcome),
            (State::Stopped, Outcome::Failed)
        );
        assert_eq!(snapshot.failure_message, Some(STOPPED_MESSAGE));
        assert!(snapshot.machines.iter().all(|machine| machine.ended.is_some()));
    }
}
