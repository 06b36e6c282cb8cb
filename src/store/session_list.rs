//! The list of failover sessions for callers who are confined to tenants, out of what was observed: EM's own list cannot be
//! filtered by tenant, and its numbers would count what belongs to others.

use std::time::Duration;

use jiff::Timestamp;

use super::readable::SESSIONS;
use super::row::{Columns as _, micros};
use super::sessions::{COLUMNS, record_from};
use super::sql::Sql;
use super::{Error, Store, UPSTREAM};
use crate::domain::access::Tenancy;
use crate::domain::session::SessionRecord;

/// How far back EM's own list reaches.
const WINDOW: Duration = Duration::from_hours(30 * 24);

/// What sessions are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionOrder {
    /// The name of the plan.
    Name,
    /// When it was started.
    StartedAt,
    /// When it ended.
    EndedAt,
    /// The state.
    State,
    /// The result.
    Result,
}

impl SessionOrder {
    /// What is compared; engines differ in where they put null.
    const fn column(self) -> &'static str {
        match self {
            Self::Name => "coalesce(plan_name, '')",
            Self::StartedAt => "coalesce(started_at, first_seen_at)",
            Self::EndedAt => "coalesce(ended_at, 0)",
            Self::State => "coalesce(state, '')",
            Self::Result => "coalesce(result, '')",
        }
    }
}

/// Which sessions a list shows, and which part of it; empty and `None` mean all. Words are the JSON's.
#[derive(Debug, Clone)]
pub struct SessionSelection {
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
    /// How they are sorted.
    pub order: SessionOrder,
    /// Largest first.
    pub descending: bool,
    /// How many come before the page.
    pub offset: i64,
    /// How many are on the page at the most.
    pub limit: i64,
}

impl Store {
    /// The sessions of the last 30 days that `tenancy` sees and the selection wants, and how many there are on all pages.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn list_sessions(
        &self,
        tenancy: &Tenancy,
        wanted: &SessionSelection,
    ) -> Result<(Vec<SessionRecord>, u64), Error> {
        let count = wanted.narrowed(
            "select count(*) as sessions from failover_sessions".to_owned(),
            tenancy,
            self.clock().now(),
        );
        let rows = count.fetch_all(self.reader()).await?;
        let count = rows.first().map(|row| row.int("sessions")).transpose()?;
        let mut page = wanted.narrowed(
            format!("select {COLUMNS} from failover_sessions"),
            tenancy,
            self.clock().now(),
        );
        let direction = if wanted.descending { " desc" } else { " asc" };
        page.push(" order by ")
            .push(wanted.order.column())
            .push(direction);
        page.push(", key").push(direction);
        page.push(" limit ").bind(wanted.limit);
        page.push(" offset ").bind(wanted.offset);
        let rows = page.fetch_all(self.reader()).await?;
        let records = self.read_rows(SESSIONS, &rows, record_from)?;
        Ok((
            records,
            u64::try_from(count.unwrap_or_default()).unwrap_or_default(),
        ))
    }
}

impl SessionSelection {
    fn narrowed(&self, select: String, tenancy: &Tenancy, now: Timestamp) -> Sql {
        let started = " and coalesce(started_at, first_seen_at) ";
        let mut query = Sql::new(select);
        query
            .push(" where phase <> 'lost' and upstream_id = ")
            .bind(UPSTREAM.to_owned());
        let oldest = now.checked_sub(WINDOW).unwrap_or_default();
        query.push(started).push(">= ").bind(micros(oldest));
        if let Some(after) = self.started_after {
            query.push(started).push(">= ").bind(micros(after));
        }
        if let Some(before) = self.started_before {
            query.push(started).push("< ").bind(micros(before));
        }
        if let Some(name) = &self.plan_name {
            query.push(" and plan_name = ").bind(name.to_lowercase());
        }
        query
            .and_one_of("state", self.states.iter().cloned())
            .and_one_of("result", self.results.iter().cloned())
            .and_seen_by(tenancy);
        query
    }
}
