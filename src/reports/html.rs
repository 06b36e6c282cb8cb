//! A report as one page that needs nothing else: no script, no request, drawings inside, and the report itself as a block of
//! data, so that the page is verified like the JSON.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value as Shown};
use minijinja::{Environment, context};
use serde_json::Value;

use super::view::{self, View};

/// The program and version that makes pages.
pub const GENERATOR: &str = concat!("emgate ", env!("CARGO_PKG_VERSION"));

/// What begins and ends the block of data. No name in a report can end it: every `<` in it is escaped.
const BEGIN: &str = "<script type=\"application/json\" id=\"report\">";
const END: &str = "</script>";

const NAME: &str = "report.html";

static PAGES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.add_filter("duration", view::duration);
    pages.add_filter("limit", view::limit);
    pages.add_filter("moment", view::moment);
    pages.add_filter("words", view::words);
    pages.add_filter("mark", view::mark);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    pages.set_syntax(syntax);
    pages.add_template(NAME, include_str!("report.html"))?;
    Ok(pages)
});

/// The page. The same report always becomes the same page.
///
/// # Errors
/// In theory, when the page cannot be made.
pub fn page(report: &Value) -> Result<String, minijinja::Error> {
    let pages = PAGES
        .as_ref()
        .map_err(|error| minijinja::Error::new(error.kind(), error.to_string()))?;
    let template = pages.get_template(NAME)?;
    let view = View::of(report);
    let data = data(report).unwrap_or_default();
    template.render(context! {
        r => Shown::from(Serde(report)),
        view => Shown::from(Serde(&view)),
        data => Shown::from_safe_string(format!("{BEGIN}{data}{END}")),
    })
}

/// The report as it stands in the block of data.
#[must_use]
pub fn data(report: &Value) -> Option<String> {
    Some(serde_json::to_string(report).ok()?.replace('<', "\\u003c"))
}

/// The block of data of a page; none of what is no page with one.
#[must_use]
pub fn data_of(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(BEGIN)?;
    rest.split_once(END).map(|(data, _)| data)
}
