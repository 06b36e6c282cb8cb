//! Jobs that send again what an endpoint did not get: made, read, and gone on with, one batch in one transaction.
//!
//! The row is the job: whoever holds the event log's lock takes the next batch, whichever replica it is, and a process that
//! is killed loses nothing but the batch that it had not committed.

use jiff::Timestamp;
use sqlx::any::AnyRow;

use super::super::cursor::{Cursor, Page};
use super::super::readable::JOBS;
use super::super::row::{Columns as _, micros};
use super::super::sql::Sql;
use super::super::{Error, Store, Tx, tenants};
use super::resend::{Wanted, owner_text};
use crate::domain::access::Tenancy;
use crate::domain::event::EventType;
use crate::domain::id::{EmId, EndpointId, JobId};
use crate::domain::webhook::Endpoint;
use crate::domain::webhook::job::{BATCH, Job, JobKind, JobState};

const COLUMNS: &str = "id, endpoint_id, kind, state, since, total, done, created_at, finished_at";

/// Where the log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStart {
    /// The place of its first event, or of the next one while it is empty; 1 while nothing was removed.
    pub place: i64,
}

impl Tx {
    /// Where the log begins.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn log_start(&mut self) -> Result<LogStart, Error> {
        let row = sqlx::query("select min(seq) as place from events")
            .fetch_one(self.connection())
            .await?;
        let first = row.opt_int("place")?;
        if let Some(place) = first {
            return Ok(LogStart { place });
        }
        // An empty log may have been emptied.
        let row = sqlx::query(self.engine().next_event())
            .fetch_one(self.connection())
            .await?;
        Ok(LogStart {
            place: row.int("place")?,
        })
    }

    /// How many jobs of the endpoint, and of all endpoints, are not done.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn open_jobs(&mut self, endpoint: EndpointId) -> Result<(usize, usize), Error> {
        let row = sqlx::query(
            "select count(*) as jobs, coalesce(sum(case when endpoint_id = $1 then 1 else 0 end), 0) as own \
             from webhook_jobs where finished_at is null",
        )
        .bind(endpoint.to_string())
        .fetch_one(self.connection())
        .await?;
        let number = |what| Ok::<_, Error>(usize::try_from(row.int(what)?).unwrap_or_default());
        Ok((number("own")?, number("jobs")?))
    }

    /// Writes a job over what there is now, and counts how much that is.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn insert_job(
        &mut self,
        id: JobId,
        endpoint: &Endpoint,
        kind: JobKind,
        since: Timestamp,
    ) -> Result<Job, Error> {
        let row = sqlx::query("select coalesce(max(seq), 0) as place from events")
            .fetch_one(self.connection())
            .await?;
        let last = row.int("place")?;
        let total = match kind {
            JobKind::Recover => {
                let row = sqlx::query(
                    "select count(*) as deliveries from webhook_deliveries \
                     where endpoint_id = $1 and state in ('exhausted', 'quarantined') and ended_at >= $2",
                )
                .bind(endpoint.id.to_string())
                .bind(micros(since))
                .fetch_one(self.connection())
                .await?;
                row.int("deliveries")?
            }
            JobKind::Replay => {
                let wanted = wanted(endpoint);
                self.count_never_got(&wanted, micros(since), (0, last)).await?
            }
        };
        let now = self.clock().now();
        sqlx::query(
            "insert into webhook_jobs (id, endpoint_id, kind, state, since, last_place, total, owner_tenants, created_at, \
                 touched_at) \
             values ($1, $2, $3, 'pending', $4, $5, $6, $7, $8, $8)",
        )
        .bind(id.to_string())
        .bind(endpoint.id.to_string())
        .bind(kind.as_str())
        .bind(micros(since))
        .bind(last)
        .bind(total)
        .bind(tenants::owner_column(endpoint.owner.tenants.as_ref())?)
        .bind(micros(now))
        .execute(self.connection())
        .await?;
        self.note_deliveries();
        Ok(Job {
            id,
            endpoint: endpoint.id,
            kind,
            state: JobState::Pending,
            since,
            total,
            done: 0,
            created_at: now,
            finished_at: None,
        })
    }

    /// The next batch of the job that was touched longest ago. How many deliveries it made due; none when no job is open.
    /// To be called under the event log's lock ([`Tx::lock_event_log`]).
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn go_on_with_a_job(&mut self) -> Result<Option<usize>, Error> {
        let row = sqlx::query(
            "select id, endpoint_id, kind, since, place, last_place from webhook_jobs \
             where finished_at is null order by touched_at, id limit 1",
        )
        .fetch_optional(self.connection())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let kind = JobKind::parse(&row.text("kind")?);
        let endpoint: EndpointId = row.parsed("endpoint_id")?;
        let (since, bounds) = (row.int("since")?, (row.int("place")?, row.int("last_place")?));
        // One that cannot be read has no filter to go by; it gets what is there when it can be read.
        let endpoint = match self.endpoint(endpoint, &Tenancy::All).await {
            Ok(endpoint) => endpoint,
            Err(error) if error.is_unreadable() => None,
            Err(error) => return Err(error),
        };
        let found = match (&endpoint, kind) {
            (Some(endpoint), Some(JobKind::Recover)) => {
                self.given_up(endpoint.id, since, bounds, BATCH).await?
            }
            (Some(endpoint), Some(JobKind::Replay)) => {
                self.never_got(&wanted(endpoint), since, bounds, BATCH).await?
            }
            _ => Vec::new(),
        };
        if let Some(endpoint) = &endpoint {
            let owner = owner_text(&owner_of(endpoint))?;
            self.resend(endpoint.id, endpoint.settings.enabled, owner.as_deref(), &found)
                .await?;
        }
        let is_last = i64::try_from(found.len()).unwrap_or(i64::MAX) < BATCH;
        let place = found.last().map_or(bounds.0, |last| last.place);
        let now = micros(self.clock().now());
        // At its end the total is what it has done: some may have arrived meanwhile, or been removed for their age.
        sqlx::query(
            "update webhook_jobs set state = $1, place = $2, done = done + $3, touched_at = $4, finished_at = $5, \
                 total = case when $6 = 1 or total < done + $3 then done + $3 else total end \
             where id = $7",
        )
        .bind(if is_last { JobState::Finished } else { JobState::Running }.as_str())
        .bind(place)
        .bind(i64::try_from(found.len()).unwrap_or(i64::MAX))
        .bind(now)
        .bind(is_last.then_some(now))
        .bind(i64::from(is_last))
        .bind(row.text("id")?)
        .execute(self.connection())
        .await?;
        self.note_writing();
        Ok(Some(found.len()))
    }
}

impl Store {
    /// Whether a job is not done.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn has_open_jobs(&self) -> Result<bool, Error> {
        let row = sqlx::query("select count(*) as jobs from webhook_jobs where finished_at is null")
            .fetch_one(self.reader())
            .await?;
        Ok(row.int("jobs")? > 0)
    }

    /// A job of an endpoint that `tenancy` sees.
    ///
    /// # Errors
    /// [`Error::Database`], [`Error::Corrupt`].
    pub async fn job(
        &self,
        endpoint: EndpointId,
        id: JobId,
        tenancy: &Tenancy,
    ) -> Result<Option<Job>, Error> {
        let mut sql = Sql::new(format!("select {COLUMNS} from webhook_jobs where id = "));
        sql.bind(id.to_string());
        sql.push(" and endpoint_id = ").bind(endpoint.to_string());
        sql.and_owned_by(tenancy)?;
        let rows = sql.fetch_all(self.reader()).await?;
        rows.first().map(job_from).transpose()
    }

    /// Up to `limit` jobs of an endpoint that `tenancy` sees, newest first.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn jobs(
        &self,
        endpoint: EndpointId,
        tenancy: &Tenancy,
        cursor: Option<Cursor<JobId>>,
        limit: i64,
    ) -> Result<Vec<Job>, Error> {
        let mut page = Page::newest_first(cursor, limit);
        loop {
            let mut sql = Sql::new(format!("select {COLUMNS} from webhook_jobs where endpoint_id = "));
            sql.bind(endpoint.to_string());
            sql.and_owned_by(tenancy)?;
            page.confine(&mut sql);
            let rows = sql.fetch_all(self.reader()).await?;
            let items = self.read_rows(JOBS, &rows, job_from)?;
            if !page.add(items, &rows)? {
                return Ok(page.done());
            }
        }
    }
}

fn job_from(row: &AnyRow) -> Result<Job, Error> {
    let corrupt = |what| Error::Corrupt { what };
    Ok(Job {
        id: row.parsed("id")?,
        endpoint: row.parsed("endpoint_id")?,
        kind: JobKind::parse(&row.text("kind")?).ok_or(corrupt("webhook_jobs.kind"))?,
        state: JobState::parse(&row.text("state")?).ok_or(corrupt("webhook_jobs.state"))?,
        since: row.at("since")?,
        total: row.int("total")?,
        done: row.int("done")?,
        created_at: row.at("created_at")?,
        finished_at: row.opt_at("finished_at")?,
    })
}

fn owner_of(endpoint: &Endpoint) -> Tenancy {
    let confinement = endpoint.owner.tenants.clone();
    confinement.map_or(Tenancy::All, Tenancy::Only)
}

fn wanted(endpoint: &Endpoint) -> Wanted {
    let filter = &endpoint.settings.filter;
    let tenants =
        (!filter.tenants.is_empty()).then(|| Tenancy::Only(filter.tenants.iter().cloned().collect()));
    let types = endpoint.settings.effective_types().into_iter();
    Wanted {
        endpoint: endpoint.id,
        types: types
            .filter(|kind| *kind != EventType::WebhookTest)
            .map(EventType::as_str)
            .collect(),
        plans: filter.plans.iter().map(EmId::key).collect(),
        results: filter.results.clone(),
        // The owner's own tenants are compared with the events about their endpoints as well.
        tenants: tenants.filter(|wanted| wanted.confinement() != endpoint.owner.tenants),
        owner: owner_of(endpoint),
    }
}
