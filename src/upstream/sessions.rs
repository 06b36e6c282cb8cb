//! Failover sessions as EM shows them: one page, one session, or all since a moment.
//!
//! Invariant of [`EmClient::sessions_since`]: a session that existed when the walk began and falls into it is in the
//! result, whatever is created, ended or aged out of EM's 30 days meanwhile. (Where a page holds less than about two
//! seconds, one that leaves the list meanwhile may hide others from this walk; the next one finds them.)

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::EmClient;
use super::damage::Damaged;
use super::error::Error;
use super::fields::{CourseDocument, MachineDocument, SessionDocument, backup_server, id, own_id};
use super::oversize;
use super::query::{Filter, Freshness, LARGEST_PAGE, MOST_PAGES, Rows, endless};
use super::reads::Reading;
use super::types::{Page, PageRequest, SessionQuery, Sort, SortField};
use crate::domain::id::EmId;
use crate::domain::session::{MachineFacts, SessionFacts, SessionResult, SessionState};

const KIND: &str = "CloudFailoverSession";

/// How far the next window begins before the last row of the one before: EM compares by its database's time, which
/// may be rounded otherwise than the text it sends.
const OVERLAP: Duration = Duration::from_secs(1);

/// Failover sessions as a walk over EM's list found them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walked {
    /// Those that could be read, each once. One that comes again as the same bytes is the same value.
    pub sessions: Vec<Arc<SessionFacts>>,
    /// Rows that are damaged: not among the sessions, or with characters replaced.
    pub damaged: Vec<Damaged>,
}

impl EmClient {
    /// A page of the failover sessions, by EM's own numbering.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sessions(&self, query: &SessionQuery) -> Result<Page<SessionFacts>, Error> {
        Ok((*self.shared_sessions(query).await?).clone())
    }

    /// The same, shared by all who get the same answer of EM's: as long as that is remembered, it is the same page.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn shared_sessions(&self, query: &SessionQuery) -> Result<Arc<Page<SessionFacts>>, Error> {
        let mut filter = Filter::default();
        if let Some(name) = &query.plan_name {
            filter.and("Name", "==", name);
        }
        if let Some(after) = query.started_after {
            filter.and("CreationTime", ">=", after);
        }
        if let Some(before) = query.started_before {
            filter.and("CreationTime", "<", before);
        }
        filter.and_any("State", &query.states);
        filter.and_any("Result", &query.results);
        let rows = self.shared_rows(KIND, &filter, &query.page, facts).await?;
        self.note_rows(KIND, &rows.page.items, &rows.damaged, |facts| &facts.id);
        Ok(rows.page.clone())
    }

    /// One session, with the backup server that rows of a query lack.
    ///
    /// # Errors
    /// [`Error`]; [`Error::is_not_found`] when EM does not know it.
    pub async fn session(&self, id: &EmId) -> Result<SessionFacts, Error> {
        let decoded = self
            .read(
                Reading::Record(&[KIND]),
                &format!("cloud/failoverSessions/{id}?format=Entity"),
            )
            .await?;
        let document: SessionDocument = decoded.read()?;
        let own = own_id(document.id.as_deref(), document.uid.as_deref(), None);
        // EM was asked for this one; what it answers without an id is this one.
        Ok(facts_of(own.unwrap_or_else(|| id.clone()), document))
    }

    /// All sessions that were created at `since` or later (all that EM keeps, without it), oldest first, each once,
    /// read from EM now. Damaged rows are reported and cost no other.
    ///
    /// # Errors
    /// [`Error`]; never a part of the list.
    pub async fn sessions_since(&self, since: Option<Timestamp>) -> Result<Walked, Error> {
        let walked = self.walk(since).await;
        self.inner.known_pages.end_walk();
        walked
    }

    async fn walk(&self, since: Option<Timestamp>) -> Result<Walked, Error> {
        let mut all: Vec<Arc<SessionFacts>> = Vec::new();
        let mut all_damaged: Vec<Damaged> = Vec::new();
        let mut known = HashSet::new();
        let left_out = self.inner.oversize.left_out(self.inner.clock.now());
        all_damaged.extend(left_out.iter().cloned().map(|id| oversize::too_large(Some(id))));
        // Page numbers shift when rows age out meanwhile; a window that begins at the last row's time does not. Page
        // numbers are used within a window only: for rows without a time, and where rows stand so densely that the
        // next window would mostly show what is known, so that a burst of thousands were read over and over.
        let (mut window, mut number) = (since, 1);
        for _ in 0..MOST_PAGES {
            let Rows { page, more, damaged } = self.window(window, number, &left_out).await?;
            let rows = page.items;
            let last = rows.iter().filter_map(|row| row.started_at).max();
            let begin = last.and_then(|last| last.checked_sub(OVERLAP).ok());
            let repaired = damaged.iter().filter(|row| row.repaired).count();
            let (before, shown) = (all.len(), rows.len() + damaged.len() - repaired);
            let damaged_before = all_damaged.len();
            self.inner.oversize.remember(&damaged, self.inner.clock.now());
            for row in damaged {
                // Windows overlap.
                if !all_damaged.contains(&row) {
                    all_damaged.push(row);
                }
            }
            let again = rows.iter().filter(|row| row.started_at >= begin).count();
            all.extend(rows.into_iter().filter(|row| known.insert(row.id.key())));
            if shown == 0 || !more {
                return Ok(Walked {
                    sessions: all,
                    damaged: all_damaged,
                });
            }
            if begin > window && again * 2 <= shown {
                (window, number) = (begin, 1);
            } else if all.len() == before && all_damaged.len() == damaged_before && page.number != number {
                // Not the page that was asked for, and nothing new on it: EM runs in circles.
                return Err(endless());
            } else {
                number += 1;
            }
        }
        Err(endless())
    }

    async fn window(
        &self,
        from: Option<Timestamp>,
        number: u32,
        left_out: &[EmId],
    ) -> Result<Rows<Arc<SessionFacts>>, Error> {
        let mut filter = Filter::default();
        for id in left_out {
            filter.and("UID", "!=", format!("urn:veeam:{KIND}:{id}"));
        }
        if let Some(from) = from {
            filter.and("CreationTime", ">=", from);
        }
        let sort = Sort {
            by: SortField::StartedAt,
            descending: false,
        };
        let page = PageRequest {
            page: number,
            page_size: LARGEST_PAGE,
            sort: Some(sort),
        };
        let shared = |document| facts(document).map(Arc::new);
        self.rows(KIND, &filter, &page, Freshness::Now, shared).await
    }

    /// Takes note of all failover sessions that are damaged: by id, where they have one that can be read, with the reason.
    pub fn note_damaged_sessions(&self, damaged: &[(Option<EmId>, String)]) {
        let now = self.inner.clock.now();
        self.inner.damages.watched(KIND, damaged, now);
    }
}

/// A row of a query; none without an id.
fn facts(document: SessionDocument) -> Option<SessionFacts> {
    let id = own_id(
        document.id.as_deref(),
        document.uid.as_deref(),
        document.href.as_deref(),
    )?;
    Some(facts_of(id, document))
}

fn facts_of(own: EmId, document: SessionDocument) -> SessionFacts {
    let course = document.course;
    SessionFacts {
        id: own,
        uid: document.uid,
        plan_name: document
            .name
            .or(document.cloud_failover_plan_name)
            .or(document.job_name)
            .unwrap_or_default(),
        job: id(document.job_uid.as_deref()),
        job_type: document.job_type,
        backup_server: backup_server(&document.links),
        state: state(&course),
        result: result(&course),
        progress: course.progress,
        started_at: course.creation_time_utc,
        ended_at: course.end_time_utc,
        failure_message: course.failure_message,
        machines: document.cloud_failover_tasks.into_iter().map(machine).collect(),
    }
}

fn machine(document: MachineDocument) -> MachineFacts {
    let course = document.course;
    MachineFacts {
        name: document.vm_name.unwrap_or_default(),
        state: state(&course),
        result: result(&course),
        progress: course.progress,
        started_at: course.creation_time_utc,
        ended_at: course.end_time_utc,
        failure_message: course.failure_message,
        replica_point: document.vm_replica_point_link.and_then(|link| link.reference()),
    }
}

fn state(course: &CourseDocument) -> SessionState {
    SessionState::parse(course.state.as_deref().unwrap_or_default())
}

fn result(course: &CourseDocument) -> Option<SessionResult> {
    SessionResult::reported(course.result.as_deref().unwrap_or_default())
}
