//! Logon sessions and the tasks that live and die with them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::dice::Dice;
use super::failover::Tempo;
use super::inventory::Tenant;

/// The most logon sessions and tasks that are kept, whatever the options say.
const MAX_LOGONS: usize = 10_000;
const MAX_TASKS: usize = 10_000;

/// EM's task states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    Running,
    /// Done on the backup server; EM has not collected the outcome yet.
    OperationFinished,
    Finished,
}

impl TaskState {
    /// EM's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::OperationFinished => "OperationFinished",
            Self::Finished => "Finished",
        }
    }
}

/// What a task works on; deleting the task stops that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A failover session that EM shows.
    Failover(Uuid),
    /// Work on a plan without a session.
    Plan(Uuid),
    /// A change that is done when the task is.
    Change,
}

/// Something that a finished task leads to.
#[derive(Debug, Clone)]
pub struct Related {
    pub rel: &'static str,
    /// Path and query below `/api`.
    pub path: String,
    pub name: Option<String>,
    pub kind: Option<&'static str>,
}

/// What an accepted request becomes.
#[derive(Debug, Clone)]
pub struct Task {
    /// Counted within the logon session, from 1.
    pub number: u64,
    pub operation: &'static str,
    pub created: Timestamp,
    /// Simulated seconds until the backup server is done.
    pub seconds: f64,
    /// The message of a failed task.
    pub failure: Option<String>,
    pub work: Work,
    /// What it links when it has succeeded, beyond what it works on.
    pub links: Vec<Related>,
}

impl Task {
    /// EM's id of the task; unique only within its logon session.
    pub fn id(&self) -> String {
        format!("task-{}", self.number)
    }

    /// The state at that moment, EM collecting `collect_delay` simulated seconds after the work is done.
    pub fn state(&self, now: Timestamp, tempo: Tempo, collect_delay: f64) -> TaskState {
        let passed = tempo.simulated(self.created, now);
        if passed < self.seconds {
            TaskState::Running
        } else if passed < self.seconds + collect_delay {
            TaskState::OperationFinished
        } else {
            TaskState::Finished
        }
    }
}

/// One logon session.
#[derive(Debug, Clone)]
pub struct Logon {
    pub id: Uuid,
    /// The tenant that logged on, to whom only what is its own is shown.
    pub tenant: Option<Tenant>,
    /// What the client sends back; as in current builds, the base64 of the id as text.
    pub token: String,
    pub last_used: Timestamp,
    pub tasks: Vec<Task>,
    next_task: u64,
}

impl Logon {
    /// A new task of this session; `None` when it has too many.
    pub fn add_task(
        &mut self,
        operation: &'static str,
        created: Timestamp,
        seconds: f64,
        work: Work,
    ) -> Option<&mut Task> {
        if self.tasks.len() >= MAX_TASKS {
            return None;
        }
        self.next_task += 1;
        let task = Task {
            number: self.next_task,
            operation,
            created,
            seconds,
            failure: None,
            work,
            links: Vec::new(),
        };
        self.tasks.push(task);
        self.tasks.last_mut()
    }

    /// The task of that id, whatever its letter case.
    pub fn task(&self, id: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id().eq_ignore_ascii_case(id))
    }
}

/// All open logon sessions.
#[derive(Debug, Default)]
pub struct Logons(Vec<Logon>);

impl Logons {
    /// Opens one more; `None` when `limit` or the simulator's own bound is reached.
    pub fn open(
        &mut self,
        dice: &mut Dice,
        now: Timestamp,
        limit: Option<usize>,
        tenant: Option<Tenant>,
    ) -> Option<&Logon> {
        if self.0.len() >= limit.unwrap_or(MAX_LOGONS).min(MAX_LOGONS) {
            return None;
        }
        let id = dice.id();
        let token = STANDARD.encode(id.to_string());
        self.0.push(Logon {
            id,
            tenant,
            token,
            last_used: now,
            tasks: Vec::new(),
            next_task: 0,
        });
        self.0.last()
    }

    /// Drops those that were idle for longer than `idle`, and their tasks with them.
    pub fn expire(&mut self, now: Timestamp, idle: SignedDuration) {
        self.0.retain(|logon| now.duration_since(logon.last_used) <= idle);
    }

    /// Drops all, as if all had been idle for too long.
    pub fn expire_all(&mut self) {
        self.0.clear();
    }

    /// The session that the token names; using it keeps it alive.
    pub fn touch(&mut self, token: &str, now: Timestamp) -> Option<Uuid> {
        let logon = self.0.iter_mut().find(|logon| logon.token == token)?;
        logon.last_used = now;
        Some(logon.id)
    }

    /// The session of that id.
    pub fn get(&self, id: Uuid) -> Option<&Logon> {
        self.0.iter().find(|logon| logon.id == id)
    }

    /// The session of that id, to be changed.
    pub fn get_mut(&mut self, id: Uuid) -> Option<&mut Logon> {
        self.0.iter_mut().find(|logon| logon.id == id)
    }

    /// Closes the session of that id.
    pub fn close(&mut self, id: Uuid) {
        self.0.retain(|logon| logon.id != id);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Logon> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
