//! Templates of an owner's own, by minijinja: work and memory are bounded by fuel, nothing is loaded, and what is not
//! there cannot be printed.
//!
//! What comes from outside is escaped by the service's dialect, and for the inside of a JSON text where the body is JSON,
//! so that `{"text": "{{ event.data.session.planName }}"}` is valid whatever the plan is called; `tojson` gives a whole
//! JSON value. Lists and objects that a template would build itself are refused: nested into each other they could cost
//! more than fuel counts.

use minijinja::machinery::{CodeGenerator, Instruction, parse};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, UndefinedBehavior, Value, filters, tests as questions,
};
use serde::Serialize;
use serde::de::IgnoredAny;

use super::Outgoing;
use super::pages::Pages;
use super::text::{Dialect, clean, visible};

/// Instructions, and 64 bytes each of what they make: some milliseconds and 32 MB at most.
const FUEL: u64 = 500_000;
/// The longest body that a template may yield, in bytes.
const BODY_LIMIT: usize = 256 * 1024;
/// How deep a value may be that is written as JSON.
const DEPTH: usize = 32;
/// What a template is called in errors, which are shown without it.
const NAME: &str = "template";

/// Why a template yields no body, and where, for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failure(String);

/// What a template sees.
#[derive(Serialize)]
struct Context<'a> {
    event: Event<'a>,
    link: Pages,
}

#[derive(Serialize)]
struct Event<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: serde_json::Value,
    data: serde_json::Value,
}

/// The body that a template yields for an event.
///
/// # Errors
/// Why not, with line and column of the template where they are known.
pub(super) fn render(
    template: &str,
    dialect: Dialect,
    content_type: &str,
    event: &Outgoing<'_>,
) -> Result<String, Failure> {
    refuse_what_may_not_be(template)?;
    let json = is_json(content_type);
    let environment = environment(dialect, json);
    let mut body: serde_json::Value =
        serde_json::from_str(event.body).map_err(|_| Failure("the event is not JSON".to_owned()))?;
    let mut part = |name| {
        body.get_mut(name)
            .map(serde_json::Value::take)
            .unwrap_or_default()
    };
    let context = Context {
        event: Event {
            id: event.id,
            kind: event.kind.as_str(),
            timestamp: part("timestamp"),
            data: part("data"),
        },
        link: event.message().pages,
    };
    let rendered = environment
        .template_from_named_str(NAME, template)
        .and_then(|compiled| compiled.render(Value::from(Serde(&context))))
        .map_err(|error| Failure(located(template, &error)))?;
    if rendered.len() > BODY_LIMIT {
        return Err(Failure(format!("the result is longer than {BODY_LIMIT} bytes")));
    }
    if json && let Err(error) = serde_json::from_str::<IgnoredAny>(&rendered) {
        let (line, column) = (error.line(), error.column());
        return Err(Failure(format!(
            "the result is not JSON: its line {line}, column {column}; whole values are written as {{{{ value|tojson }}}}, \
             and for what is not JSON, contentType says what it is"
        )));
    }
    Ok(rendered)
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// Refuses a template that builds lists or objects, wherever it would.
fn refuse_what_may_not_be(template: &str) -> Result<(), Failure> {
    let tree =
        parse(template, NAME, SyntaxConfig::default()).map_err(|error| Failure(located(template, &error)))?;
    let mut generator = CodeGenerator::new(NAME, template);
    generator.compile_stmt(&tree);
    let (instructions, _) = generator.finish();
    let mut at = 0;
    while let Some(instruction) = instructions.get(at) {
        if matches!(
            instruction,
            Instruction::BuildList(_) | Instruction::BuildTuple(_) | Instruction::BuildMap(_)
        ) {
            let span = instructions.get_span(at);
            let what = "lists and objects cannot be built here";
            return Err(Failure(match span {
                Some(span) => format!("line {}, column {}: {what}", span.start_line, span.start_col + 1),
                None => format!("line {}: {what}", instructions.get_line(at).unwrap_or(1)),
            }));
        }
        at += 1;
    }
    Ok(())
}

/// What went wrong, after line and column.
fn located(template: &str, error: &Error) -> String {
    let detail = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let place = error
        .range()
        .and_then(|range| template.get(..range.start))
        .map(|before| {
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("line {line}, column {column}: ")
        })
        .or_else(|| error.line().map(|line| format!("line {line}: ")))
        .unwrap_or_default();
    format!("{place}{detail}")
}

/// The language: operators, conditions, loops, and these filters and questions.
fn environment(dialect: Dialect, json: bool) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(20);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("service".into()));
    environment.set_formatter(move |out, _, value| write(out, value, dialect, json));
    environment.add_filter("abs", filters::abs);
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("count", filters::length);
    environment.add_filter("d", filters::default);
    environment.add_filter("default", filters::default);
    environment.add_filter("first", filters::first);
    environment.add_filter("int", filters::int);
    environment.add_filter("join", filters::join);
    environment.add_filter("last", filters::last);
    environment.add_filter("length", filters::length);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("map", filters::map);
    environment.add_filter("rejectattr", filters::rejectattr);
    environment.add_filter("replace", filters::replace);
    environment.add_filter("round", filters::round);
    environment.add_filter("selectattr", filters::selectattr);
    environment.add_filter("title", filters::title);
    environment.add_filter("tojson", move |value: &Value| to_json(value, dialect));
    environment.add_filter("trim", filters::trim);
    environment.add_filter("truncate", |text: String, units: usize| {
        clean(&text, units.clamp(1, 10_000))
    });
    environment.add_filter("upper", filters::upper);
    environment.add_test("defined", questions::is_defined);
    environment.add_test("undefined", questions::is_undefined);
    environment.add_test("none", questions::is_none);
    environment.add_test("eq", questions::is_eq);
    environment.add_test("equalto", questions::is_eq);
    environment.add_test("ne", questions::is_ne);
    environment.add_test("in", questions::is_in);
    environment
}

/// Prints a value.
fn write(out: &mut Output, value: &Value, dialect: Dialect, json: bool) -> Result<(), Error> {
    if value.is_none() {
        return Ok(());
    }
    let text = match value.as_str() {
        Some(text) if value.is_safe() => text.to_owned(),
        Some(text) => within_json(&dialect.escape(&visible(text)), json),
        None if value.as_object().is_some() => {
            let detail = "a list or an object is printed by its members, or whole by the filter tojson";
            return Err(Error::new(ErrorKind::InvalidOperation, detail));
        }
        None if value.kind() == ValueKind::Bool => value.is_true().to_string(),
        None => value.to_string(),
    };
    out.write_str(&text)
        .map_err(|_| Error::new(ErrorKind::WriteFailure, "could not be written"))
}

/// `text` as it stands between the quotes of a JSON text.
fn within_json(text: &str, json: bool) -> String {
    if !json {
        return text.to_owned();
    }
    let quoted = serde_json::Value::from(text).to_string();
    quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or_default()
        .to_owned()
}

/// A whole JSON value, the texts in it escaped by the dialect.
fn to_json(value: &Value, dialect: Dialect) -> Result<Value, Error> {
    let bad = |_| Error::new(ErrorKind::BadSerialization, "this cannot be written as JSON");
    let mut plain = serde_json::to_value(value).map_err(bad)?;
    escape_texts(&mut plain, dialect, DEPTH)?;
    let text = serde_json::to_string(&plain).map_err(bad)?;
    if text.len() > BODY_LIMIT {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "this is too long as JSON",
        ));
    }
    Ok(Value::from_safe_string(text))
}

fn escape_texts(value: &mut serde_json::Value, dialect: Dialect, depth: usize) -> Result<(), Error> {
    if depth == 0 {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "this is too deep as JSON",
        ));
    }
    match value {
        serde_json::Value::String(text) => *text = dialect.escape(&visible(text)),
        serde_json::Value::Array(items) => {
            for item in items {
                escape_texts(item, dialect, depth - 1)?;
            }
        }
        serde_json::Value::Object(members) => {
            for (_, member) in members {
                escape_texts(member, dialect, depth - 1)?;
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventType;
    use crate::domain::links::Links;
    use crate::domain::webhook::options::FormatOptions;
    use rstest::rstest;

    const BODY: &str = r#"{"type":"failover.session.finished","timestamp":"2026-03-01T12:00:00Z","data":
        {"session":{"id":"a9","planName":"A \"plan\" <!channel>","tenant":null,"progress":100,
        "virtualMachines":[{"name":"srv1","result":"failed"},{"name":"srv2","result":"success"}]},"operation":null}}"#;

    fn rendered(template: &str, dialect: Dialect, content_type: &str) -> Result<String, String> {
        let (links, options) = (Links::default(), FormatOptions::default());
        let event = Outgoing {
            id: "evt_1",
            kind: EventType::SessionFinished,
            body: BODY,
            options: &options,
            links: &links,
        };
        render(template, dialect, content_type, &event).map_err(|failure| failure.to_string())
    }

    #[rstest]
    #[case("{{ event.type }} {{ event.id }}", "failover.session.finished evt_1")]
    #[case("{{ link.open }}", "/console/failovers/a9")]
    #[case("{{ link.approve }}|{{ event.data.session.tenant }}", "|")]
    #[case("{% if event.data.operation %}x{% else %}none{% endif %}", "none")]
    #[case("{% if event.data.nothing %}x{% else %}none{% endif %}", "none")]
    #[case("{{ event.data.nothing|default('-') }}", "-")]
    #[case(
        "{% for m in event.data.session.virtualMachines %}{{ m.name }}={{ m.result }};{% endfor %}",
        "srv1=failed;srv2=success;"
    )]
    #[case(
        "{{ event.data.session.virtualMachines|selectattr('result','eq','failed')|map(attribute='name')|join(', ') }}",
        "srv1"
    )]
    #[case("{{ event.data.session.planName|upper|truncate(4) }}", "A \"…")]
    #[case("{{ 'x' in ['x', 'y'] }}", "true")]
    fn a_template_sees_the_event_and_its_links(#[case] template: &str, #[case] text: &str) {
        assert_eq!(
            rendered(template, Dialect::Plain, "text/plain").as_deref(),
            Ok(text)
        );
    }

    #[rstest]
    #[case(r#"{"a": "{{ event.data.session.planName }}"}"#)]
    #[case(r#"{"a": {{ event.data.session.planName|tojson }}}"#)]
    fn a_json_body_is_valid_whatever_a_name_holds(#[case] template: &str) {
        let json = rendered(template, Dialect::Slack, "application/json").expect("rendered");
        assert_eq!(json, r#"{"a": "A \"plan\" &lt;!channel&gt;"}"#);
    }

    #[rstest]
    #[case(
        "a\n  {{ nothing }}",
        "line 2, column 6: undefined value: `nothing` is undefined"
    )]
    #[case(
        "{{ event.data.nothing.deeper }}",
        "line 1, column 14: undefined value: `event.data.nothing` is undefined"
    )]
    #[case("{% if %}", "line 1, column 7: syntax error: unexpected end of block")]
    #[case(
        "{{ event.data }}",
        "line 1, column 4: invalid operation: a list or an object is printed by its members, or whole by the filter tojson"
    )]
    #[case(
        "{{ [event.id, event.id] }}",
        "line 1, column 4: lists and objects cannot be built here"
    )]
    #[case(
        "{% include 'x' %}",
        "line 1, column 4: syntax error: unknown statement include"
    )]
    #[case("{{ range(9) }}", "line 1, column 4: unknown function: range is unknown")]
    fn a_failure_says_where(#[case] template: &str, #[case] why: &str) {
        assert_eq!(
            rendered(template, Dialect::Plain, "text/plain"),
            Err(why.to_owned())
        );
    }

    #[test]
    fn a_result_that_is_no_json_is_a_failure_where_json_is_due() {
        let why = rendered("{{ event.id }}", Dialect::Plain, "application/json").expect_err("no JSON");
        assert!(
            why.starts_with("the result is not JSON: its line 1, column 1"),
            "{why}"
        );
    }

    #[test]
    fn a_template_uses_bounded_time_and_memory() {
        let doubled = format!(
            "{{% set x = 'xxxxxxxx' %}}{}{{{{ x }}}}",
            "{% set x = x ~ x %}".repeat(60)
        );
        let captured = format!(
            "{{% set x %}}xxxxxxxx{{% endset %}}{}{{{{ x }}}}",
            "{% set x %}{{ x }}{{ x }}{% endset %}".repeat(60)
        );
        let nested =
            "{% for a in event.data.session.virtualMachines %}".repeat(40) + "x" + &"{% endfor %}".repeat(40);
        for template in [doubled, captured, nested] {
            let why = rendered(&template, Dialect::Plain, "text/plain").expect_err("too much");
            assert!(
                why.contains("out of fuel") || why.contains("recursion limit"),
                "{why}"
            );
        }
    }
}
