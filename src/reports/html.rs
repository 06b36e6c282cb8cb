//! A report as one page that needs nothing else: no script, no request, drawings inside, and the report itself as a block of
//! data, so that the page is verified like the JSON. And the programme, as a page of the same style.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value as Shown};
use minijinja::{Environment, Error, context};
use serde_json::Value;

use super::view::{self, View};

/// The program and version that makes pages.
pub const GENERATOR: &str = concat!("emgate ", env!("CARGO_PKG_VERSION"));

/// What begins and ends the block of data. No name in a report can end it: every `<` in it is escaped.
const BEGIN: &str = "<script type=\"application/json\" id=\"report\">";
const END: &str = "</script>";

/// What stands before the block of data of a page by a template of the operator's, which nobody else can make again.
const FOREIGN: &str = "<!-- made by a template of the operator's -->\n";

const NAME: &str = "report.html";
const PROGRAMME: &str = "programme.html";

const STYLE: &str = include_str!("style.css");

/// The template of a report's page that is part of the program: where one of the operator's own begins.
pub const BUILT_IN: &str = include_str!("report.html");

static PAGES: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(|| {
    let mut pages = environment()?;
    pages.add_template(NAME, BUILT_IN)?;
    pages.add_template(PROGRAMME, include_str!("programme.html"))?;
    Ok(pages)
});

fn environment() -> Result<Environment<'static>, Error> {
    let mut pages = Environment::new();
    pages.add_filter("duration", view::duration);
    pages.add_filter("millis", view::millis);
    pages.add_filter("limit", view::limit);
    pages.add_filter("moment", view::moment);
    pages.add_filter("day", view::day);
    pages.add_filter("words", view::words);
    pages.add_filter("mark", view::mark);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    pages.set_syntax(syntax);
    Ok(pages)
}

/// A template of the operator's own, in the place of the built-in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, with line and column.
    pub fn parse(text: String) -> Result<Self, String> {
        let compiled = environment().and_then(|pages| pages.template_from_named_str(NAME, &text).map(|_| ()));
        match compiled {
            Ok(()) => Ok(Self(text)),
            Err(error) => Err(located(&text, &error)),
        }
    }

    /// The page by this template.
    ///
    /// # Errors
    /// Why there is none, with line and column.
    pub fn page(&self, report: &Value) -> Result<String, String> {
        let Self(text) = self;
        let rendered =
            environment().and_then(|pages| pages.template_from_named_str(NAME, text)?.render(shown(report)));
        let page = rendered.map_err(|error| located(text, &error))?;
        Ok(with_data(&page, report, FOREIGN))
    }
}

/// An error with the place where it is.
fn located(text: &str, error: &Error) -> String {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let column = error.range().and_then(|range| {
        let before = text.get(..range.start)?;
        let line = before.rsplit('\n').next().unwrap_or_default();
        Some(line.chars().count() + 1)
    });
    match (error.line(), column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: {what}"),
        (Some(line), None) => format!("line {line}: {what}"),
        (None, _) => what,
    }
}

fn shown(report: &Value) -> Shown {
    let view = View::of(report);
    context! {
        r => Shown::from(Serde(report)),
        view => Shown::from(Serde(&view)),
        style => Shown::from_safe_string(STYLE.to_owned()),
    }
}

/// The page with the report in it as data: at the end of its body, whatever the template has there.
fn with_data(page: &str, report: &Value, before: &str) -> String {
    let data = data(report).unwrap_or_default();
    let block = format!("{before}{BEGIN}{data}{END}\n");
    match page
        .rfind("</body>")
        .and_then(|place| page.split_at_checked(place))
    {
        Some((body, rest)) => format!("{body}{block}{rest}"),
        None => format!("{page}{block}"),
    }
}

fn built_in(name: &str, context: Shown) -> Result<String, Error> {
    let pages = PAGES
        .as_ref()
        .map_err(|error| Error::new(error.kind(), error.to_string()))?;
    pages.get_template(name)?.render(context)
}

/// The page. The same report always becomes the same page.
///
/// # Errors
/// In theory, when the page cannot be made.
pub fn page(report: &Value) -> Result<String, Error> {
    Ok(with_data(&built_in(NAME, shown(report))?, report, ""))
}

/// The programme as a page.
///
/// # Errors
/// In theory, when the page cannot be made.
pub fn programme(programme: &Value) -> Result<String, Error> {
    built_in(
        PROGRAMME,
        context! {
            p => Shown::from(Serde(programme)),
            view => Shown::from(Serde(&view::Coverage::of(programme))),
            style => Shown::from_safe_string(STYLE.to_owned()),
            generator => GENERATOR,
        },
    )
}

/// The report as it stands in the block of data.
#[must_use]
pub fn data(report: &Value) -> Option<String> {
    Some(serde_json::to_string(report).ok()?.replace('<', "\\u003c"))
}

/// A page in three: what stands before its report, the report as data, and what follows. None of what is no page with one.
#[must_use]
pub fn parted(page: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (data, after) = rest.split_once(END)?;
    Some((before, data, after))
}

/// Whether a page that begins so says that it was made by a template of the operator's.
#[must_use]
pub fn is_foreign(before: &str) -> bool {
    before.ends_with(FOREIGN)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_that_cannot_be_read_is_refused_by_its_place() {
        let fault = Template::parse("<p>\n  {{ r.plan.name }\n</p>".to_owned()).expect_err("a fault");
        assert!(fault.starts_with("line 2"), "{fault}");
        let fault = Template::parse("{{ r.plan.name | shout }}".to_owned());
        let fault = fault.and_then(|template| template.page(&json!({"plan": {"name": "x"}})));
        assert!(fault.is_err_and(|fault| fault.contains("line 1")));
    }

    #[test]
    fn a_template_decides_what_is_shown_and_never_what_is_signed() {
        let report = json!({"plan": {"name": "</script><b>ABC"}, "report": {"generator": GENERATOR}});
        for text in [
            "<html><body><h1>{{ r.plan.name }}</h1></body></html>",
            "{{ r.plan.name }}",
            "",
        ] {
            let template = Template::parse(text.to_owned()).expect("a template");
            let page = template.page(&report).expect("a page");
            let (before, data, _) = parted(&page).expect("data");
            assert!(is_foreign(before));
            assert!(!page.contains("<b>"), "{page}");
            let data: Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(data, report);
        }
    }

    #[test]
    fn the_built_in_template_is_one_that_can_be_used() {
        assert!(Template::parse(BUILT_IN.to_owned()).is_ok());
    }
}
