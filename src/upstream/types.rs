//! What the rooms above ask of this one, as values.

use jiff::Timestamp;

use crate::domain::id::{EmId, LogonId, TaskId};
use crate::domain::operation::TaskState;
use crate::domain::words::words;

/// Whether EM may have acted on a request that failed. The at-most-once rule reads this and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// Certainly not: it was never reached, or refused the request definitely.
    No,
    /// Unknown.
    Maybe,
}

/// EM accepted a write and made a task of it, which lives in the logon session named beside it. That logon session is
/// pinned until `EmClient::release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedTask {
    /// The task's id within its logon session.
    pub task: TaskId,
    /// The logon session.
    pub logon: LogonId,
    /// The task's state as answered.
    pub state: TaskState,
    /// EM's message, if it sent one already.
    pub message: Option<String>,
}

/// A task as EM describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// Its state; `Lost` when EM or the gateway no longer knows the task or its logon session.
    pub state: TaskState,
    /// Whether it went well, once EM says so.
    pub success: Option<bool>,
    /// EM's message with the result.
    pub message: Option<String>,
    /// The failover session it links.
    pub session: Option<EmId>,
}

words! {
    /// What a numbered list can be sorted by.
    pub enum SortField {
        /// The name.
        Name = "name",
        /// When it began; sessions only.
        StartedAt = "startedAt",
        /// When it ended; sessions only.
        EndedAt = "endedAt",
        /// The state; sessions only.
        State = "state",
        /// The result; sessions only.
        Result = "result",
    }
}

/// A field and a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortField,
    /// Largest first.
    pub descending: bool,
}

/// Which page of a numbered list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// From 1.
    pub page: u32,
    /// 1 to 100.
    pub page_size: u32,
    /// How it is sorted; EM's own order when absent.
    pub sort: Option<Sort>,
}

/// A page of a numbered list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items on the page.
    pub items: Vec<T>,
    /// Its number, from 1.
    pub number: u32,
    /// How many items a page holds at most.
    pub size: u32,
    /// How many pages there are.
    pub total: u32,
}

/// Which failover sessions a list shows; empty and `None` mean all. Words are the JSON's (`working`, `failed`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionQuery {
    /// The states wanted.
    pub states: Vec<String>,
    /// The results wanted.
    pub results: Vec<String>,
    /// The plan's name, exact but for letter case.
    pub plan_name: Option<String>,
    /// Started at this moment or later.
    pub started_after: Option<Timestamp>,
    /// Started before this moment.
    pub started_before: Option<Timestamp>,
    /// Which page.
    pub page: PageRequest,
}

/// Whether EM answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Whether the last attempt to reach it succeeded.
    pub up: bool,
    /// Since when it is as it is.
    pub since: Option<Timestamp>,
    /// Whether requests are sent to it.
    pub circuit: Circuit,
}

/// Whether requests are sent to EM, or refused before that while it does not answer at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// They are sent.
    Closed,
    /// None is sent before that time.
    Open(Timestamp),
    /// One is sent, whose outcome decides.
    HalfOpen,
}
