//! EM's query service: filters, sorting and paging over rows of named fields.
//!
//! Grammar (EM's manual, "Query Service"): `;` is AND and binds closer than `,`, which is OR; parentheses
//! group; `== != < > <= >=` compare. A value is a bare word of letters, digits and underscores, or is in
//! double quotes with a quote inside doubled; spaces outside of quotes are dropped. Names and enumeration
//! values are read in any letter case, enumerations compare by their position in EM's list.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How deep a filter may nest.
const MAX_DEPTH: usize = 32;

/// The type of a field that can be queried.
#[derive(Debug, Clone, Copy)]
pub enum FieldType {
    Text,
    Number,
    Decimal,
    Time,
    /// A URN; a filter may name the bare id as well.
    Urn,
    /// The values in EM's order.
    Choice(&'static [&'static str]),
}

/// A field that can be queried.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub kind: FieldType,
}

/// The value of a field in one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Number(i64),
    Decimal(f64),
    Time(Timestamp),
    /// Position in the enumeration; values that EM does not list (None) are -1.
    Choice(i64),
    /// EM has no value: unequal to everything, sorts first.
    Absent,
}

impl Value {
    /// What a row's text is as a value of that type; text that is none is no value.
    pub fn of(kind: FieldType, text: Option<&str>) -> Self {
        let Some(text) = text else { return Self::Absent };
        match kind {
            FieldType::Choice(_) => Self::choice(kind, text),
            kind => typed(kind, "", text).unwrap_or(Self::Absent),
        }
    }

    /// The value of an enumeration's field.
    pub fn choice(kind: FieldType, name: &str) -> Self {
        let FieldType::Choice(values) = kind else {
            return Self::Text(name.to_owned());
        };
        let position = values.iter().position(|value| value.eq_ignore_ascii_case(name));
        Self::Choice(position.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
    }
}

/// A row: its item, and its values in the order of the fields.
#[derive(Debug)]
pub struct Row<T> {
    pub item: T,
    pub values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
}

/// A filter, ready to be asked.
#[derive(Debug)]
pub enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    #[doc(hidden)]
    Compare(Comparison),
}

/// One comparison of a field with a value.
#[derive(Debug)]
pub struct Comparison {
    field: usize,
    operator: Operator,
    value: Value,
}

impl Filter {
    /// Reads a filter over these fields. The error is a sentence for EM's error document.
    pub fn parse(text: &str, fields: &[Field]) -> Result<Self, String> {
        let mut parser = Parser { rest: text, fields };
        let filter = parser.any(0)?;
        parser.skip_blanks();
        if parser.rest.is_empty() {
            Ok(filter)
        } else {
            Err(format!("Unexpected '{}' in the filter", parser.rest))
        }
    }

    /// Whether a row with these values passes.
    pub fn matches(&self, values: &[Value]) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(values)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(values)),
            Self::Compare(comparison) => values
                .get(comparison.field)
                .is_some_and(|value| comparison.matches(value)),
        }
    }
}

impl Comparison {
    fn matches(&self, value: &Value) -> bool {
        let Some(order) = compare(value, &self.value) else {
            return self.operator == Operator::NotEqual;
        };
        match self.operator {
            Operator::Equal => order == Ordering::Equal,
            Operator::NotEqual => order != Ordering::Equal,
            Operator::Less => order == Ordering::Less,
            Operator::Greater => order == Ordering::Greater,
            Operator::LessOrEqual => order != Ordering::Greater,
            Operator::GreaterOrEqual => order != Ordering::Less,
        }
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => Some(left.to_lowercase().cmp(&right.to_lowercase())),
        (Value::Number(left), Value::Number(right)) | (Value::Choice(left), Value::Choice(right)) => {
            Some(left.cmp(right))
        }
        (Value::Decimal(left), Value::Decimal(right)) => left.partial_cmp(right),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Sorts rows by a field, or says that there is no such field.
pub fn sort<T>(rows: &mut [Row<T>], fields: &[Field], name: &str, descending: bool) -> Result<(), String> {
    let index = position(fields, name)?;
    rows.sort_by(|left, right| {
        let (left, right) = (left.values.get(index), right.values.get(index));
        let order = match (left, right) {
            (Some(Value::Absent) | None, Some(Value::Absent) | None) => Ordering::Equal,
            (Some(Value::Absent) | None, _) => Ordering::Less,
            (_, Some(Value::Absent) | None) => Ordering::Greater,
            (Some(left), Some(right)) => compare(left, right).unwrap_or(Ordering::Equal),
        };
        if descending { order.reverse() } else { order }
    });
    Ok(())
}

fn position(fields: &[Field], name: &str) -> Result<usize, String> {
    fields
        .iter()
        .position(|field| field.name.eq_ignore_ascii_case(name.trim()))
        .ok_or_else(|| format!("Property '{name}' is unknown"))
}

struct Parser<'a> {
    rest: &'a str,
    fields: &'a [Field],
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > MAX_DEPTH {
            return Err("The filter nests too deeply".to_owned());
        }
        let mut parts = vec![self.all(depth)?];
        while self.eat(",") {
            parts.push(self.all(depth)?);
        }
        Ok(Filter::Any(parts))
    }

    fn all(&mut self, depth: usize) -> Result<Filter, String> {
        let mut parts = vec![self.term(depth)?];
        while self.eat(";") {
            parts.push(self.term(depth)?);
        }
        Ok(Filter::All(parts))
    }

    fn term(&mut self, depth: usize) -> Result<Filter, String> {
        if self.eat("(") {
            let inner = self.any(depth + 1)?;
            return if self.eat(")") {
                Ok(inner)
            } else {
                Err("A parenthesis is not closed".to_owned())
            };
        }
        let name = self.word();
        let field = position(self.fields, &name)?;
        let operator = self.operator()?;
        let text = self.value()?;
        let kind = self.fields.get(field).map_or(FieldType::Text, |field| field.kind);
        Ok(Filter::Compare(Comparison {
            field,
            operator,
            value: typed(kind, &name, &text)?,
        }))
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let operators = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        operators
            .into_iter()
            .find(|(text, _)| self.eat(text))
            .map(|(_, operator)| operator)
            .ok_or_else(|| format!("An operator is missing before '{}'", self.rest))
    }

    fn value(&mut self) -> Result<String, String> {
        if !self.eat("\"") {
            let word = self.word();
            return if word.is_empty() {
                Err(format!("A value is missing before '{}'", self.rest))
            } else {
                Ok(word)
            };
        }
        let mut value = String::new();
        loop {
            let (text, rest) = self.rest.split_once('"').ok_or("A quoted value is not closed")?;
            value.push_str(text);
            let Some(after) = rest.strip_prefix('"') else {
                self.rest = rest;
                return Ok(value);
            };
            value.push('"');
            self.rest = after;
        }
    }

    /// Letters, digits and underscores; spaces in between are dropped, as EM does.
    fn word(&mut self) -> String {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ' '))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.replace(' ', "")
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

fn typed(kind: FieldType, name: &str, text: &str) -> Result<Value, String> {
    let bad = || format!("'{text}' is not a value of property '{name}'");
    match kind {
        FieldType::Text => Ok(Value::Text(text.to_owned())),
        FieldType::Urn => {
            let id = text.rsplit(':').next().unwrap_or(text);
            id.parse::<uuid::Uuid>()
                .map(|id| Value::Text(id.to_string()))
                .map_err(|_| bad())
        }
        FieldType::Decimal => text.parse().map(Value::Decimal).map_err(|_| bad()),
        FieldType::Number => text.parse().map(Value::Number).map_err(|_| bad()),
        FieldType::Time => parse_time(text).map(Value::Time).ok_or_else(bad),
        FieldType::Choice(values) => values
            .iter()
            .position(|value| value.eq_ignore_ascii_case(text))
            .and_then(|at| i64::try_from(at).ok())
            .map(Value::Choice)
            .ok_or_else(bad),
    }
}

/// A time with a zone, or without one (then UTC), or a date alone.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[Field] = &[
        Field {
            name: "Name",
            kind: FieldType::Text,
        },
        Field {
            name: "State",
            kind: FieldType::Choice(&["Starting", "Stopping", "Working", "Stopped"]),
        },
        Field {
            name: "CreationTime",
            kind: FieldType::Time,
        },
        Field {
            name: "UID",
            kind: FieldType::Urn,
        },
    ];

    fn row() -> Vec<Value> {
        vec![
            Value::Text("ABC \"x\" Plan".to_owned()),
            Value::choice(FIELDS[1].kind, "Working"),
            Value::Time("2026-01-02T03:04:05Z".parse().unwrap()),
            Value::Text("3f56fa52-c902-4655-9774-2022fde214d2".to_owned()),
        ]
    }

    #[test]
    fn filters_decide_as_the_manual_says() {
        for (filter, expected) in [
            ("Name==\"abc \"\"X\"\" plan\"", true),
            ("name!=\"other\"", true),
            ("state==working", true),
            ("State>Starting;State<Stopped", true),
            ("State==Stopped,State==Working", true),
            ("State==Stopped,State==Working;Name==\"x\"", false),
            ("(State==Stopped,State==Working);Name!=x", true),
            ("CreationTime>=\"2026-01-02T03:04:05\"", true),
            ("CreationTime>\"2026-01-02T03:04:05.000Z\"", false),
            ("CreationTime > \"2026-01-01\"", true),
            (
                "UID==\"urn:veeam:CloudFailoverSession:3F56FA52-C902-4655-9774-2022FDE214D2\"",
                true,
            ),
            ("UID==\"3f56fa52-c902-4655-9774-2022fde214d2\"", true),
        ] {
            assert_eq!(
                Filter::parse(filter, FIELDS).unwrap().matches(&row()),
                expected,
                "{filter}"
            );
        }
    }

    #[test]
    fn bad_filters_are_refused() {
        for filter in [
            "",
            "State",
            "State==",
            "State=Working",
            "Nothing==1",
            "State==Sleeping",
            "CreationTime>yesterday",
            "CreationTime>2026-01-01",
            "(State==Working",
            "State==Working)",
            "Name==\"open",
            "State==Working;",
            "UID==\"x\"",
        ] {
            assert!(Filter::parse(filter, FIELDS).is_err(), "{filter}");
        }
        let deep = format!("{}State==Working{}", "(".repeat(1000), ")".repeat(1000));
        assert!(Filter::parse(&deep, FIELDS).is_err());
    }
}
