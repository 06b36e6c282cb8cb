//! A page of a list and its place among the others (docs/behaviour.md#lists).

use serde::Serialize;
use utoipa::ToSchema;

/// A page's position in the list; follow `next` until it is null.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PageInfo {
    /// How many items a page holds at most.
    pub size: u64,
    /// The next page.
    #[schema(required)]
    pub next: Option<String>,
    /// The page before.
    #[schema(required)]
    pub previous: Option<String>,
    /// This page's number, where Enterprise Manager numbers them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// How many pages there are, where Enterprise Manager numbers them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items on the page.
    pub items: Vec<T>,
    /// Its position in the list.
    pub page: PageInfo,
}

impl<T> Page<T> {
    /// A list that is never longer than one page.
    #[must_use]
    pub fn whole(items: Vec<T>) -> Self {
        let page = PageInfo {
            size: items.len() as u64,
            next: None,
            previous: None,
            number: None,
            total: None,
        };
        Self { items, page }
    }
}
