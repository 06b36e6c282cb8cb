//! Pages of query results: filtered, sorted, cut, and linked to their neighbours.

use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::exchange::{Answer, Call, Handled, Refusal};
use super::query::{Field, Filter, Row, sort};
use super::render::{Documents, Form};
use super::xml::Element;

/// `/query` never gives more rows than this at once, asked to or not.
const MAX_PAGE: usize = 100;

/// The place of the rows in a query's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    Refs,
    Entities(&'static str),
    /// What is no entity has no references, and a place of its own (type `ResourcesType`).
    Resources(&'static str),
}

impl Member {
    /// The place of rows of that name in that form.
    pub fn of(form: Form, name: &'static str) -> Self {
        match form {
            Form::Reference => Self::Refs,
            Form::Entity => Self::Entities(name),
        }
    }
}

/// Filters, sorts and cuts out the page that was asked for.
pub fn page<T>(
    call: &Call<'_>,
    member: Member,
    fields: &[Field],
    mut rows: Vec<Row<T>>,
    render: impl Fn(Documents<'_>, T) -> Element,
) -> Handled {
    // A filter or sort that EM cannot read makes it answer 500, not 400.
    let fault = |message: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message);
    if let Some(text) = call
        .request
        .parameter("filter")
        .filter(|text| !text.trim().is_empty())
    {
        let filter = Filter::parse(&text, fields).map_err(fault)?;
        rows.retain(|row| filter.matches(&row.values));
    }
    for (name, descending) in [("sortAsc", false), ("sortDesc", true)] {
        if let Some(by) = call.request.parameter(name) {
            sort(&mut rows, fields, &by, descending).map_err(fault)?;
        }
    }
    let size = call.positive("pageSize", MAX_PAGE)?.min(MAX_PAGE);
    let current = call.positive("page", 1)?;
    let pages = rows.len().div_ceil(size).max(1);
    let documents: Documents<'_> = call.documents();
    let items: Vec<Element> = rows
        .into_iter()
        .skip((current - 1).saturating_mul(size))
        .take(size)
        .map(|row| render(documents, row.item))
        .collect();
    let rows = match member {
        Member::Refs => Element::new("Refs").children(items),
        Member::Entities(name) => Element::new("Entities").child(Element::new(name).children(items)),
        Member::Resources(name) => Element::new("Resources").child(Element::new(name).children(items)),
    };
    Ok(Answer::ok(
        Element::new("QueryResult")
            .child(rows)
            .child(paging_info(call, size, current, pages)),
    ))
}

fn paging_info(call: &Call<'_>, size: usize, current: usize, pages: usize) -> Element {
    let link = |rel: &str, page: usize| {
        Element::new("Link")
            .attr("Rel", rel)
            .attr("Href", page_href(call, size, page))
    };
    let mut links = vec![link("First", 1)];
    if current > 1 {
        links.push(link("Previous", (current - 1).min(pages)));
    }
    if current < pages {
        links.push(link("Next", current + 1));
    }
    links.push(link("Last", pages));
    Element::new("PagingInfo")
        .attr("PageNum", current.to_string())
        .attr("PageSize", size.to_string())
        .attr("PagesCount", pages.to_string())
        .child(Element::new("Links").children(links))
}

fn page_href(call: &Call<'_>, size: usize, page: usize) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');
    let mut href = format!("{}/query?", call.world.options.href_base.trim_end_matches('/'));
    for (name, value) in call.request.query() {
        if !name.eq_ignore_ascii_case("page") && !name.eq_ignore_ascii_case("pageSize") {
            // As recorded from a server: percent-encoded with lower-case hexadecimal digits.
            let value: String = utf8_percent_encode(&value, KEPT)
                .map(|part| {
                    if part.starts_with('%') {
                        part.to_ascii_lowercase()
                    } else {
                        part.to_owned()
                    }
                })
                .collect();
            href.push_str(&format!("{name}={value}&"));
        }
    }
    href.push_str(&format!("pageSize={size}&page={page}"));
    href
}
