//! Lists, page by page: which page is asked for, and the links that lead from it to the others (docs/behaviour.md#lists).
//!
//! Enterprise Manager numbers its pages; the gateway's own logs go by cursor, so that they may grow while they are read.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use serde::Deserialize;
use url::form_urlencoded::{Serializer, parse};
use utoipa::IntoParams;

use crate::api_types::page::{Page, PageInfo};
use crate::app::{self, Cursor, LogPage, OpContext, PageRequest, Sort};
use crate::domain::links::Links;
use crate::http::HttpState;
use crate::http::context::RequestContext;
use crate::http::extract::{
    FromCursor, IntoCursor, OpaqueCursor, PageNumber, PageSize, Query, cursor, position_header,
};
use crate::http::problem::Problem;

/// The page of a numbered list, as the query names it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct NumberedParams {
    /// The page number, from 1.
    #[serde(default)]
    #[param(inline, required = false)]
    page: PageNumber,
    /// Items per page.
    #[serde(default)]
    #[param(inline, required = false)]
    page_size: PageSize,
}

/// The page of a log, as the query names it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct CursorParams {
    /// Items per page.
    #[serde(default)]
    #[param(inline, required = false)]
    page_size: PageSize,
    /// The page after this cursor, from the links of another page.
    #[param(inline)]
    after: Option<OpaqueCursor>,
    /// The page before this cursor.
    #[param(inline)]
    before: Option<OpaqueCursor>,
}

/// A request for a page that Enterprise Manager numbers; documented by [`NumberedParams`].
pub(super) struct NumberedList {
    params: NumberedParams,
    uri: Uri,
}

impl NumberedList {
    /// What Enterprise Manager is asked for.
    pub(super) fn request(&self, sort: Option<Sort>) -> PageRequest {
        PageRequest {
            page: self.params.page.0,
            page_size: self.params.page_size.0,
            sort,
        }
    }

    /// The page as the answer.
    pub(super) fn page<'a, T: 'a, U>(
        &self,
        links: &Links,
        page: &'a app::Page<T>,
        item: impl Fn(&'a T) -> U,
    ) -> Page<U> {
        Page {
            items: page.items.iter().map(item).collect(),
            page: numbered(links, &self.uri, page),
        }
    }
}

impl FromRequestParts<HttpState> for NumberedList {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let Query(params) = Query::from_request_parts(parts, state).await?;
        note_position(parts, state).await?;
        let uri = parts.uri.clone();
        Ok(Self { params, uri })
    }
}

/// A request for a page of a log whose places are `P`; documented by [`CursorParams`].
pub(super) struct Log<P> {
    /// Where the page begins; at the list's beginning when absent.
    pub from: Option<Cursor<P>>,
    /// How many items the page holds at most.
    pub size: usize,
    uri: Uri,
}

impl<P> Log<P> {
    /// The page as the answer.
    pub(super) fn page<'a, T: 'a, U, C: IntoCursor + Copy>(
        &self,
        links: &Links,
        page: &'a LogPage<T, Cursor<C>>,
        item: impl Fn(&'a T) -> U,
    ) -> Json<Page<U>> {
        self.readable(links, page, |one| Some(item(one)))
    }

    /// The page as the answer, without the items that cannot be shown.
    pub(super) fn readable<'a, T: 'a, U, C: IntoCursor + Copy>(
        &self,
        links: &Links,
        page: &'a LogPage<T, Cursor<C>>,
        item: impl Fn(&'a T) -> Option<U>,
    ) -> Json<Page<U>> {
        let link = |cursor| match cursor {
            Cursor::After(place) => page_link(links, &self.uri, "after", &OpaqueCursor::write(place)),
            Cursor::Before(place) => page_link(links, &self.uri, "before", &OpaqueCursor::write(place)),
        };
        Json(Page {
            items: page.items.iter().filter_map(item).collect(),
            page: PageInfo {
                size: self.size as u64,
                next: page.next.map(link),
                previous: page.previous.map(link),
                number: None,
                total: None,
            },
        })
    }
}

impl<P: FromCursor> FromRequestParts<HttpState> for Log<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Problem> {
        let Query(params) = Query::<CursorParams>::from_request_parts(parts, state).await?;
        note_position(parts, state).await?;
        Ok(Self {
            from: cursor(params.after.as_ref(), params.before.as_ref())?,
            size: params.page_size.0 as usize,
            uri: parts.uri.clone(),
        })
    }
}

/// Notes where the event log ends for the caller, before the list is read: what comes after it may be missing in the list,
/// and nothing that comes before it is.
async fn note_position(parts: &mut Parts, state: &HttpState) -> Result<(), Problem> {
    let context = OpContext::from_request_parts(parts, state).await?;
    match state.app().log_position(&context).await {
        Ok(position) => {
            if let Some(request) = RequestContext::of(&parts.extensions) {
                request.set_position(position_header(position));
            }
        }
        // A list of Enterprise Manager's needs no store.
        Err(error) => tracing::debug!(
            error = &error as &dyn std::error::Error,
            "a list is answered without its position in the event log"
        ),
    }
    Ok(())
}

/// A page's place in a list that Enterprise Manager numbers.
fn numbered<T>(links: &Links, uri: &Uri, page: &app::Page<T>) -> PageInfo {
    let link = |number: u32| page_link(links, uri, "page", &number.to_string());
    PageInfo {
        size: page.size.into(),
        next: (page.number < page.total).then(|| link(page.number.saturating_add(1))),
        // The page before one beyond the end is the last one.
        previous: (page.number > 1 && page.total > 0).then(|| link((page.number - 1).min(page.total))),
        number: Some(page.number.into()),
        total: Some(page.total.into()),
    }
}

/// Ascending or descending, not both.
pub(super) fn one_order(ascending: Option<Sort>, descending: Option<Sort>) -> Result<Option<Sort>, Problem> {
    match (ascending, descending) {
        (Some(_), Some(_)) => Err(Problem::fault("sortDesc", "cannot be combined with sortAsc")),
        (ascending, descending) => Ok(ascending.or(descending)),
    }
}

/// The address of another page of the list: its filters stay, the place is replaced.
fn page_link(links: &Links, uri: &Uri, name: &str, value: &str) -> String {
    let mut query = Serializer::new(String::new());
    for (key, value) in parse(uri.query().unwrap_or_default().as_bytes()) {
        if !matches!(&*key, "after" | "before" | "page") {
            query.append_pair(&key, &value);
        }
    }
    query.append_pair(name, value);
    links.to(&format!("{}?{}", uri.path(), query.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(query: &str, number: u32, total: u32) -> PageInfo {
        let uri: Uri = format!("/api/v1/things{query}").parse().expect("a path");
        let page = app::Page::<()> {
            items: Vec::new(),
            number,
            size: 50,
            total,
        };
        numbered(&Links::default(), &uri, &page)
    }

    #[test]
    fn links_keep_the_filters_and_end_at_the_ends() {
        let middle = info("?planName=a%20b&page=2", 2, 3);
        assert_eq!(middle.next.as_deref(), Some("/api/v1/things?planName=a+b&page=3"));
        assert_eq!(
            middle.previous.as_deref(),
            Some("/api/v1/things?planName=a+b&page=1")
        );
        assert_eq!((info("", 1, 1).next, info("", 1, 1).previous), (None, None));
        assert_eq!((info("", 1, 0).next, info("", 1, 0).previous), (None, None));
        assert_eq!(
            info("?page=9", 9, 3).previous.as_deref(),
            Some("/api/v1/things?page=3")
        );
        assert_eq!(info("?page=9", 9, 3).next, None);
    }
}
