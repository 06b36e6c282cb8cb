//! All routes on a page, grouped by noun. Each is registered with its scope and its own problems; what every route may
//! answer is added by `register`. Below them: the pages of lists.

mod em;
mod events;
mod meta;
mod operations;
mod pages;
mod plans;
mod reply;
mod sessions;
mod webhooks;

use axum::http::Uri;
use url::form_urlencoded::{Serializer, parse};
use utoipa_axum::router::OpenApiRouter;

use super::HttpState;
use crate::api_types::page::PageInfo;
use crate::app;
use crate::domain::links::Links;
pub(super) use meta::{get_health, get_metrics, not_ready};

/// Every route with its documentation.
pub(super) fn all() -> OpenApiRouter<HttpState> {
    OpenApiRouter::default()
        .merge(plans::routes())
        .merge(operations::routes())
        .merge(sessions::routes())
        .merge(events::routes())
        .merge(webhooks::routes())
        .merge(em::routes())
        .merge(meta::routes())
}

/// The pages for people, which are not in the document.
pub(super) fn pages() -> axum::Router<HttpState> {
    pages::routes()
}

/// The same list from another place: the filters stay, what named the old place goes.
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

/// A page's place in a list that Enterprise Manager numbers.
fn numbered<T>(links: &Links, uri: &Uri, page: &app::Page<T>) -> PageInfo {
    let at = |number: u32| page_link(links, uri, "page", &number.to_string());
    PageInfo {
        size: page.size.into(),
        next: (page.number < page.total).then(|| at(page.number.saturating_add(1))),
        // From beyond the end the way back leads to the last page.
        previous: (page.number > 1 && page.total > 0).then(|| at((page.number - 1).min(page.total))),
        number: Some(page.number.into()),
        total: Some(page.total.into()),
    }
}

/// A page's place in a log that goes by cursor; `place` writes the cursor of an item.
fn by_cursor<C>(
    links: &Links,
    uri: &Uri,
    size: u32,
    page: (Option<app::Cursor<C>>, Option<app::Cursor<C>>),
    place: impl Fn(C) -> String,
) -> PageInfo {
    let at = |cursor| match cursor {
        app::Cursor::After(id) => page_link(links, uri, "after", &place(id)),
        app::Cursor::Before(id) => page_link(links, uri, "before", &place(id)),
    };
    let (next, previous) = page;
    PageInfo {
        size: size.into(),
        next: next.map(&at),
        previous: previous.map(&at),
        number: None,
        total: None,
    }
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
