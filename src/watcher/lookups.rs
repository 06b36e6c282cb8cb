//! Reads of one thing each beside the one query: begun at once, waited for a moment, used whenever they come.
//!
//! One that hangs delays neither the rows of the query nor the reads beside it: it is waited for once, is not begun a
//! second time while it runs, and its answer is used by the observation that finds it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::follow::TaskReport;
use crate::domain::id::{EmId, LogonId, OperationId, TaskId};
use crate::domain::plan::{Plan, PlanKind};
use crate::domain::session::SessionFacts;
use crate::telemetry::traces;
use crate::upstream::{self, EmClient};

/// How many of a kind run at a time.
const AT_A_TIME: usize = 8;

/// How long a session or the list of plans is read for; a task takes what a request may.
const LIMIT: Duration = Duration::from_secs(15);

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum LookupKey {
    Task(OperationId),
    Session(EmId),
    Plans,
}

/// What a GET of a session answered.
#[derive(Debug, Clone)]
pub(super) enum Lookup {
    Found(Arc<SessionFacts>),
    /// EM does not know it.
    NotFound,
    /// Nothing: it is asked for again.
    Failed,
}

enum Answer {
    Task(Option<TaskReport>),
    Session(Lookup),
    Plans(Option<Vec<Plan>>),
}

/// The reads under way and their answers.
pub(super) struct Lookups {
    em: EmClient,
    running: JoinSet<(LookupKey, Answer)>,
    asked: HashSet<LookupKey>,
    task_gate: Arc<Semaphore>,
    session_gate: Arc<Semaphore>,
    /// What tasks answered and is not written yet.
    pub tasks: HashMap<OperationId, TaskReport>,
    /// What sessions answered and is not written yet.
    pub sessions: HashMap<EmId, Lookup>,
    /// The plans, when they were read since they were last used.
    pub plans: Option<Vec<Plan>>,
}

impl Lookups {
    pub fn new(em: EmClient) -> Self {
        Self {
            em,
            running: JoinSet::new(),
            asked: HashSet::new(),
            task_gate: Arc::new(Semaphore::new(AT_A_TIME)),
            session_gate: Arc::new(Semaphore::new(AT_A_TIME)),
            tasks: HashMap::new(),
            sessions: HashMap::new(),
            plans: None,
        }
    }

    /// Whether that is being read.
    pub fn is_asking(&self, question: &LookupKey) -> bool {
        self.asked.contains(question)
    }

    /// Begins to read an operation's task, unless that is under way.
    pub fn ask_task(&mut self, operation: OperationId, logon: LogonId, task: TaskId) {
        let (em, gate) = (self.em.clone(), Arc::clone(&self.task_gate));
        self.ask(LookupKey::Task(operation), async move {
            let _slot = gate.acquire().await;
            Answer::Task(match em.task(logon, &task).await {
                Ok(view) => Some(TaskReport {
                    state: view.state,
                    success: view.success,
                    message: view.message,
                    session: view.session,
                }),
                Err(error) => {
                    tracing::debug!(%operation, error = &error as &dyn std::error::Error, "a task could not be read");
                    None
                }
            })
        });
    }

    /// Begins to read a session, unless that is under way. True when it was begun.
    pub fn ask_session(&mut self, id: &EmId) -> bool {
        let (em, gate, id) = (self.em.clone(), Arc::clone(&self.session_gate), id.clone());
        self.ask(LookupKey::Session(id.clone()), async move {
            let _slot = gate.acquire().await;
            let read = tokio::time::timeout(LIMIT, em.session(&id)).await;
            Answer::Session(match read {
                Ok(Ok(facts)) => Lookup::Found(Arc::new(facts)),
                Ok(Err(error)) => {
                    tracing::debug!(session = %id, error = &error as &dyn std::error::Error, "a session could not be read");
                    if error.is_not_found() { Lookup::NotFound } else { Lookup::Failed }
                }
                Err(_) => Lookup::Failed,
            })
        })
    }

    /// Begins to read the cloud plans, unless that is under way.
    pub fn ask_plans(&mut self) {
        let em = self.em.clone();
        self.ask(LookupKey::Plans, async move {
            let read = tokio::time::timeout(LIMIT, em.all_plans(PlanKind::Cloud)).await;
            Answer::Plans(match read {
                Ok(Ok(plans)) => Some(plans),
                Ok(Err(error)) => {
                    log_unreadable_plans(Some(&error));
                    None
                }
                Err(_) => {
                    log_unreadable_plans(None);
                    None
                }
            })
        });
    }

    fn ask(&mut self, question: LookupKey, reading: impl Future<Output = Answer> + Send + 'static) -> bool {
        let begun = self.asked.insert(question.clone());
        if begun {
            self.running
                .spawn(traces::carried(async move { (question, reading.await) }));
        }
        begun
    }

    /// Takes up what has been answered by now.
    pub fn collect(&mut self) {
        while let Some(done) = self.running.try_join_next() {
            self.take(done);
        }
    }

    /// Waits until these are answered, but no longer than `pause` after the last answer of any, nor than `most`.
    pub async fn wait(&mut self, questions: &[LookupKey], pause: Duration, most: Duration) {
        let end = Instant::now() + most;
        while questions.iter().any(|question| self.asked.contains(question)) {
            let until = end.min(Instant::now() + pause);
            match tokio::time::timeout_at(until, self.running.join_next()).await {
                Ok(Some(done)) => self.take(done),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn take(&mut self, done: Result<(LookupKey, Answer), JoinError>) {
        let (question, answer) = match done {
            Ok(done) => done,
            // As if it had happened here: a watcher that panics ends the process.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return,
        };
        self.asked.remove(&question);
        match (question, answer) {
            (LookupKey::Task(operation), Answer::Task(Some(report))) => {
                self.tasks.insert(operation, report);
            }
            (LookupKey::Session(id), Answer::Session(told)) => {
                self.sessions.insert(id, told);
            }
            (_, Answer::Plans(Some(plans))) => self.plans = Some(plans),
            (_, Answer::Task(_) | Answer::Session(_) | Answer::Plans(None)) => {}
        }
    }
}

fn log_unreadable_plans(error: Option<&upstream::Error>) {
    tracing::warn!(
        error = error.map(|error| error as &dyn std::error::Error),
        "the failover plans could not be read; sessions are reported without their plan"
    );
}
