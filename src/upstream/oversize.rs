//! Pages that are larger than an answer may be: read in smaller pages, down to the one row that is too large by itself.
//!
//! Such a row costs many requests to find. So it is remembered for a while, and the watcher's query leaves it out.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::EmClient;
use super::damage::Damaged;
use super::documents;
use super::error::{Error, Kind};
use super::fields::own_id;
use super::limits::Class;
use super::query::{self, Filter, Freshness, LARGEST_PAGE, Rows};
use super::types::{Page, PageRequest};
use crate::domain::id::EmId;

/// How long a row that is too large is left out before it is tried again.
const LEFT_OUT: Duration = Duration::from_mins(5);

/// The most rows that are left out; an address has its limits.
const MOST: usize = 20;

const REASON: &str = "it is larger than an answer of Enterprise Manager's may be";

/// Failover sessions whose rows are too large, and since when that is known.
#[derive(Default)]
pub(super) struct Oversize(Mutex<HashMap<EmId, Timestamp>>);

impl Oversize {
    /// Those that are left out now.
    pub fn left_out(&self, now: Timestamp) -> Vec<EmId> {
        let mut known = self.known();
        known.retain(|_, since| now.duration_since(*since).unsigned_abs() < LEFT_OUT);
        known.keys().cloned().collect()
    }

    /// Remembers those among damaged rows that are too large.
    pub fn remember(&self, rows: &[Damaged], now: Timestamp) {
        for row in rows.iter().filter(|row| row.reason == REASON) {
            let mut known = self.known();
            for id in &row.ids {
                if known.len() < MOST {
                    known.entry(id.clone()).or_insert(now);
                }
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<EmId, Timestamp>> {
        self.0.lock()
    }
}

/// A row that is too large.
pub(super) fn too_large(id: Option<EmId>) -> Damaged {
    Damaged {
        ids: id.into_iter().collect(),
        created: None,
        reason: REASON.to_owned(),
        repaired: false,
    }
}

/// An item of a page of references.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    id: Option<String>,
    uid: Option<String>,
    href: Option<String>,
}

impl EmClient {
    /// The rows of a page, in smaller pages where it is larger than an answer may be.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) async fn rows<T: DeserializeOwned, R: Clone + Send + Sync + 'static>(
        &self,
        kind: &'static str,
        filter: &Filter,
        page: &PageRequest,
        freshness: Freshness,
        make: impl Fn(T) -> Option<R>,
    ) -> Result<Rows<R>, Error> {
        self.rows_in_parts(kind, filter, page, freshness, make, None)
            .await
    }

    /// The same, where the whole page may be known to be too large: by the error that it was answered with.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) async fn rows_in_parts<T: DeserializeOwned, R: Clone + Send + Sync + 'static>(
        &self,
        kind: &'static str,
        filter: &Filter,
        page: &PageRequest,
        freshness: Freshness,
        make: impl Fn(T) -> Option<R>,
        mut known: Option<Error>,
    ) -> Result<Rows<R>, Error> {
        // What is still to be read, the next page last; one entry is split up at a time.
        let size = page.page_size.clamp(1, LARGEST_PAGE);
        let number = page.page.max(1);
        let mut due = vec![PageRequest {
            page: number,
            page_size: size,
            sort: page.sort,
        }];
        let mut whole: Option<Rows<R>> = None;
        while let Some(next) = due.pop() {
            let read = match known.take() {
                Some(error) => Err(error),
                None => self.one_page(kind, filter, &next, freshness, &make).await,
            };
            let read = match read {
                Err(error) if matches!(error.kind(), Kind::TooLarge { .. }) => {
                    if next.page_size > 1 {
                        due.extend(smaller(&next).into_iter().rev());
                        continue;
                    }
                    self.named_only(kind, filter, &next).await?
                }
                read => read?,
            };
            let last = !read.more;
            whole = Some(match whole {
                None if next.page_size == size => return Ok(read),
                None => read,
                Some(before) => joined(before, read),
            });
            if last {
                break;
            }
        }
        let mut rows = whole.ok_or_else(|| documents::invalid("it has no pages"))?;
        let in_all = rows.page.total.saturating_mul(rows.page.size);
        rows.page.number = number;
        rows.page.size = size;
        rows.page.total = in_all.div_ceil(size).max(1);
        Ok(rows)
    }

    /// A page of one row that is too large: which one it is, by a reference to it.
    async fn named_only<R>(
        &self,
        kind: &'static str,
        filter: &Filter,
        page: &PageRequest,
    ) -> Result<Rows<R>, Error> {
        let target = query::target(kind, filter, page).replace("format=Entities", "format=References");
        let (document, _) = match self.fetch(Class::Page, &target, &["QueryResult"]).await {
            Ok(answer) => answer.rows::<Reference>()?,
            Err(error) if matches!(error.kind(), Kind::TooLarge { .. } | Kind::InvalidResponse { .. }) => {
                // Not even that; the next page shows whether another row follows.
                let page = Page {
                    items: Vec::new(),
                    number: page.page,
                    size: page.page_size,
                    total: page.page.saturating_add(1),
                };
                return Ok(Rows {
                    page,
                    more: true,
                    damaged: vec![too_large(None)],
                });
            }
            Err(error) => return Err(error),
        };
        let own = document
            .items
            .first()
            .and_then(|item| own_id(item.id.as_deref(), item.uid.as_deref(), item.href.as_deref()));
        Ok(query::page_of(
            Vec::new(),
            document.page,
            page,
            vec![too_large(own)],
        ))
    }
}

/// The pages that hold the same rows.
fn smaller(page: &PageRequest) -> Vec<PageRequest> {
    let size = page.page_size;
    let step = if size > 10 && size.is_multiple_of(10) {
        size / 10
    } else {
        1
    };
    let pieces = size / step;
    let first = (page.page - 1).saturating_mul(pieces) + 1;
    (first..first.saturating_add(pieces))
        .map(|number| PageRequest {
            page: number,
            page_size: step,
            sort: page.sort,
        })
        .collect()
}

/// Two runs of rows, the second of which has the total, counted in its own, smaller pages.
fn joined<R>(mut before: Rows<R>, next: Rows<R>) -> Rows<R> {
    before.page.items.extend(next.page.items);
    before.damaged.extend(next.damaged);
    Rows {
        page: Page {
            items: before.page.items,
            ..next.page
        },
        more: next.more,
        damaged: before.damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_pages_hold_the_rows_of_the_larger() {
        for (number, size) in [(1, 100), (3, 100), (2, 50), (4, 10), (2, 7), (9, 2)] {
            let mut due = vec![PageRequest {
                page: number,
                page_size: size,
                sort: None,
            }];
            let mut rows = Vec::new();
            while let Some(page) = due.pop() {
                if page.page_size == 1 {
                    rows.push(page.page);
                } else {
                    due.extend(smaller(&page).into_iter().rev());
                }
            }
            let first = (number - 1) * size + 1;
            assert_eq!(rows, (first..first + size).collect::<Vec<_>>(), "{number} {size}");
        }
    }
}
