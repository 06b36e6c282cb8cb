//! EM's query service: filters written so that no value can escape its quotes, and pages as EM numbers them.
//!
//! A filter that EM cannot read makes it answer 500, and a value without quotes loses its blanks, so every value
//! is in quotes (catalogue: quirks, query). Query fields are not the entity's: `CreationTime`, not
//! `CreationTimeUTC`.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::EmClient;
use super::damage::Damaged;
use super::documents::{self, Decoded};
use super::error::{Error, Kind};
use super::fields::{PageDocument, QueryDocument};
use super::known_pages::{Fingerprint, KnownPages};
use super::known_rows::Cut;
use super::limits::Class;
use super::paths::escaped;
use super::reads::Reading;
use super::types::{Page, PageRequest, Sort, SortField};
use crate::catalogue::filter::quoted;
use crate::domain::id::EmId;

/// The most rows that EM puts on a page.
pub(super) const LARGEST_PAGE: u32 = 100;

/// Conditions that all have to hold.
#[derive(Default)]
pub(super) struct Filter(Vec<String>);

impl Filter {
    /// `field operator value`
    pub fn and(&mut self, field: &str, operator: &str, value: impl Display) {
        self.0.push(condition(field, operator, value));
    }

    /// `field` is one of `values`; nothing to hold when there are none.
    pub fn and_any(&mut self, field: &str, values: &[String]) {
        let any: Vec<String> = values
            .iter()
            .map(|value| condition(field, "==", capitalised(value)))
            .collect();
        match any.as_slice() {
            [] => {}
            [one] => self.0.push(one.clone()),
            _ => self.0.push(format!("({})", any.join(","))),
        }
    }

    /// One of these fields has that value; nothing to hold when there are none.
    pub fn and_one(&mut self, operator: &str, fields: impl Iterator<Item = (&'static str, String)>) {
        let any: Vec<String> = fields
            .map(|(field, value)| condition(field, operator, value))
            .collect();
        match any.as_slice() {
            [] => {}
            [one] => self.0.push(one.clone()),
            _ => self.0.push(format!("({})", any.join(","))),
        }
    }

    fn text(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(";"))
    }
}

fn condition(field: &str, operator: &str, value: impl Display) -> String {
    format!("{field}{operator}{}", quoted(&value.to_string()))
}

/// The API's `working` is EM's `Working`.
fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The target of a query for entities.
pub(super) fn target(kind: &str, filter: &Filter, page: &PageRequest) -> String {
    let size = page.page_size.clamp(1, LARGEST_PAGE);
    let mut target = format!(
        "query?type={kind}&format=Entities&pageSize={size}&page={}",
        page.page.max(1)
    );
    if let Some(Sort { by, descending }) = page.sort {
        let field = match by {
            SortField::Name => "Name",
            SortField::StartedAt => "CreationTime",
            SortField::EndedAt => "EndTime",
            SortField::State => "State",
            SortField::Result => "Result",
        };
        let _ = write!(
            target,
            "&{}={field}",
            if descending { "sortDesc" } else { "sortAsc" }
        );
    }
    if let Some(filter) = filter.text() {
        let _ = write!(target, "&filter={}", escaped(&filter));
    }
    target
}

/// The rows of one page, and whether another one follows.
pub(super) struct Rows<T> {
    pub page: Page<T>,
    pub more: bool,
    /// Rows that are not on the page because they are damaged, or are with characters replaced.
    pub damaged: Vec<Damaged>,
}

/// A page of rows that all share who get the same answer.
pub(super) struct SharedRows<T> {
    pub page: Arc<Page<T>>,
    pub more: bool,
    pub damaged: Vec<Damaged>,
}

impl<T> From<Rows<T>> for SharedRows<T> {
    fn from(rows: Rows<T>) -> Self {
        Self {
            page: Arc::new(rows.page),
            more: rows.more,
            damaged: rows.damaged,
        }
    }
}

/// How a query may be answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// By a request that is under way, or an answer of a moment ago.
    Shared,
    /// By EM, now, for the watcher.
    Now,
}

impl EmClient {
    /// One page of a query, and its damaged rows. `make`: what a row means, none without an id.
    pub(super) async fn one_page<T: DeserializeOwned, R: Clone + Send + Sync + 'static>(
        &self,
        kind: &'static str,
        filter: &Filter,
        page: &PageRequest,
        freshness: Freshness,
        make: impl Fn(T) -> Option<R>,
    ) -> Result<Rows<R>, Error> {
        let target = target(kind, filter, page);
        if freshness == Freshness::Shared {
            return rows_of(&*self.read(Reading::Rows(kind), &target).await?, page, make);
        }
        // The watcher reads the same pages again and again.
        let answer = self.fetch_answer(Class::Page, &target).await?;
        let fingerprint = Fingerprint::of(kind, page, &answer.body);
        let rows: Arc<SharedRows<R>> = match self.inner.known_pages.get(fingerprint) {
            Some(rows) => rows,
            None => {
                let known = &self.inner.known_pages;
                let (rows, fingerprints) = read(known, kind, answer.body, page, make).await?;
                let rows = Arc::new(rows.into());
                self.inner
                    .known_pages
                    .put(fingerprint, Arc::clone(&rows), fingerprints);
                rows
            }
        };
        Ok(Rows {
            page: (*rows.page).clone(),
            more: rows.more,
            damaged: rows.damaged.clone(),
        })
    }

    /// The rows of a page, made once of an answer for all who share it; the next answer makes them anew.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) async fn shared_rows<T: DeserializeOwned, R: Clone + Send + Sync + 'static>(
        &self,
        kind: &'static str,
        filter: &Filter,
        page: &PageRequest,
        make: impl Fn(T) -> Option<R>,
    ) -> Result<Arc<SharedRows<R>>, Error> {
        let asked = PageRequest {
            page: page.page.max(1),
            page_size: page.page_size.clamp(1, LARGEST_PAGE),
            sort: page.sort,
        };
        let decoded = match self
            .read(Reading::Rows(kind), &target(kind, filter, &asked))
            .await
        {
            Err(error) if matches!(error.kind(), Kind::TooLarge { .. }) => {
                let parts = self.rows_in_parts(kind, filter, page, Freshness::Shared, make, Some(error));
                return Ok(Arc::new(parts.await?.into()));
            }
            decoded => decoded?,
        };
        decoded.made(|decoded| Ok(rows_of(decoded, &asked, make)?.into()))
    }

    /// Takes note of the damaged rows of a page, and of those that are well.
    pub(super) fn note_rows<R>(
        &self,
        kind: &'static str,
        items: &[R],
        damaged: &[Damaged],
        id: impl Fn(&R) -> &EmId,
    ) {
        let now = self.inner.clock.now();
        self.inner.damages.met(kind, items.iter().map(id), damaged, now);
    }

    /// All rows, page after page, in EM's order. For things that are few and change rarely.
    pub(super) async fn all_rows<T: DeserializeOwned, R: Clone + Send + Sync + 'static>(
        &self,
        kind: &'static str,
        filter: &Filter,
        sort: Sort,
        make: impl Fn(T) -> Option<R>,
        id: impl Fn(&R) -> &EmId,
    ) -> Result<Vec<Arc<Page<R>>>, Error> {
        let mut all = Vec::new();
        for number in 1..=MOST_PAGES {
            let page = PageRequest {
                page: number,
                page_size: LARGEST_PAGE,
                sort: Some(sort),
            };
            let rows = self.shared_rows(kind, filter, &page, &make).await?;
            self.note_rows(kind, &rows.page.items, &rows.damaged, &id);
            let empty = rows.page.items.is_empty() && rows.damaged.is_empty();
            all.push(rows.page.clone());
            if empty || !rows.more {
                return Ok(all);
            }
        }
        Err(endless())
    }
}

/// The rows of a page, of which only those are decoded that did not come before, and what each is known by, where that is
/// certain.
///
/// # Errors
/// Those of the whole page.
async fn read<T: DeserializeOwned, R: Clone + Send + Sync + 'static>(
    known: &KnownPages,
    kind: &'static str,
    body: Bytes,
    page: &PageRequest,
    make: impl Fn(T) -> Option<R>,
) -> Result<(Rows<R>, Vec<Fingerprint>), Error> {
    if let Some(cut) = Cut::of(kind, &body, known) {
        let rest = documents::decode_rows(cut.rest.clone(), kind).await;
        let rest = rest.and_then(|decoded| rows_of(&decoded, page, &make));
        if let Ok(rows) = &rest
            && rows.damaged.is_empty()
            && let Some((items, fingerprints)) = cut.whole(&rows.page.items, known)
        {
            let mut rows = rest?;
            rows.page.items = items;
            return Ok((rows, fingerprints));
        }
        if cut.is_new() {
            return Ok((rest?, Vec::new()));
        }
        // What is wrong with a page is told of the whole of it.
    }
    let decoded = documents::decode_rows(body, kind).await?;
    Ok((rows_of(&decoded, page, make)?, Vec::new()))
}

/// The rows of a page; those without an id are damaged.
fn rows_of<T: DeserializeOwned, R>(
    decoded: &Decoded,
    page: &PageRequest,
    make: impl Fn(T) -> Option<R>,
) -> Result<Rows<R>, Error> {
    let (answer, mut damaged): (QueryDocument<T>, _) = decoded.rows()?;
    let mut items = Vec::with_capacity(answer.items.len());
    for row in answer.items {
        match make(row) {
            Some(row) => items.push(row),
            None => damaged.push(Damaged {
                ids: Vec::new(),
                created: None,
                reason: "it has no id".to_owned(),
                repaired: false,
            }),
        }
    }
    Ok(page_of(items, answer.page, page, damaged))
}

/// More pages than any EM has; an EM that sends more is broken.
pub(super) const MOST_PAGES: u32 = 1000;

pub(super) fn endless() -> Error {
    documents::invalid("its list has no end")
}

/// A page with these rows, by what EM says of it and what it was asked for.
pub(super) fn page_of<T>(
    items: Vec<T>,
    page: Option<PageDocument>,
    asked: &PageRequest,
    damaged: Vec<Damaged>,
) -> Rows<T> {
    let page = page.unwrap_or_default();
    let PageDocument {
        size,
        number,
        total,
        next,
    } = page;
    let number = number.filter(|number| *number > 0).unwrap_or(asked.page.max(1));
    let size = size.filter(|size| *size > 0).unwrap_or(asked.page_size);
    // Without a word from EM, a page that links a next one is not the last.
    let least = if next.is_some() {
        number.saturating_add(1)
    } else {
        1
    };
    let total = total.unwrap_or(number).max(least);
    let more = next.is_some() || number < total;
    Rows {
        page: Page {
            items,
            number,
            size,
            total,
        },
        more,
        damaged,
    }
}

#[cfg(test)]
#[path = "known_rows_tests.rs"]
mod known_rows_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_escape_its_quotes() {
        let mut filter = Filter::default();
        filter.and("Name", "==", "a\";Name!=\"");
        filter.and_any("State", &["working".to_owned(), "stopped".to_owned()]);
        filter.and_any("Result", &["failed".to_owned()]);
        filter.and_any("Type", &[]);
        assert_eq!(
            filter.text().as_deref(),
            Some("Name==\"a\"\";Name!=\"\"\";(State==\"Working\",State==\"Stopped\");Result==\"Failed\"")
        );
    }

    #[test]
    fn a_query_is_one_escaped_line() {
        let mut filter = Filter::default();
        filter.and("Name", "==", "R&D #1 ü");
        let sort = Some(Sort {
            by: SortField::StartedAt,
            descending: true,
        });
        let page = PageRequest {
            page: 0,
            page_size: 1000,
            sort,
        };
        assert_eq!(
            target("CloudFailoverSession", &filter, &page),
            "query?type=CloudFailoverSession&format=Entities&pageSize=100&page=1&sortDesc=CreationTime\
             &filter=Name%3D%3D%22R%26D%20%231%20%C3%BC%22"
        );
    }

    #[test]
    fn a_page_knows_whether_another_follows() {
        let asked = PageRequest {
            page: 2,
            page_size: 50,
            sort: None,
        };
        let page = |number, total, next: Option<&str>| {
            let document = PageDocument {
                size: Some(50),
                number,
                total,
                next: next.map(str::to_owned),
            };
            page_of(vec![1], Some(document), &asked, vec![])
        };
        assert!(page(Some(2), Some(3), None).more);
        assert!(page(None, None, Some("/x")).more);
        assert!(!page(Some(3), Some(3), None).more);
        let silent = page_of(vec![1], None, &asked, vec![]);
        assert!(!silent.more);
        assert_eq!(
            (silent.page.number, silent.page.size, silent.page.total),
            (2, 50, 2)
        );
    }
}
