//! Reading one line of a data file: a field, an operation, a link.
//!
//! The grammar is at the top of `data/core.toml`. Nothing is looked up here; names stay text until
//! `load.rs` knows every type.

use super::model::{Method, Place, Shape};

/// A field line, names not yet resolved.
pub(super) struct FieldLine {
    pub name: &'static str,
    pub place: Place,
    pub value: &'static str,
    pub shape: Shape,
    pub items: Vec<&'static str>,
    pub required: bool,
    pub writable: Option<bool>,
    pub nillable: bool,
    pub doubtful: bool,
    pub hint: Option<&'static str>,
    pub about: Option<&'static str>,
}

/// Reads `… [-- meaning]`.
pub(super) fn described(line: &'static str) -> (&'static str, Option<&'static str>) {
    match line.split_once(" -- ") {
        Some((body, about)) => (body, Some(about.trim())),
        None => (line, None),
    }
}

/// Reads `[@]Name: TYPE[[] of Item|…or *] [flags] [as HINT] [-- meaning]`.
pub(super) fn field(line: &'static str) -> Result<FieldLine, &'static str> {
    let (body, about) = described(line);
    let (name, rest) = body.split_once(": ").ok_or("a field is written \"Name: type\"")?;
    let (name, place) = match name.strip_prefix('@') {
        Some(name) => (name, Place::Attribute),
        None if name == "#text" => (name, Place::Text),
        None => (name, Place::Element),
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err("a field's name is one word");
    }
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or("the type is missing")?;
    let (value, shape) = if let Some(value) = value.strip_suffix("[]") {
        (value, Shape::Wrapped)
    } else if let Some(value) = value.strip_suffix('*') {
        (value, Shape::Repeated)
    } else {
        (value, Shape::One)
    };
    if place != Place::Element && shape != Shape::One {
        return Err("only elements can be lists");
    }
    let mut field = FieldLine {
        name,
        place,
        value,
        shape,
        items: Vec::new(),
        required: false,
        writable: None,
        nillable: false,
        doubtful: false,
        hint: None,
        about,
    };
    while let Some(word) = words.next() {
        match word {
            "of" | "or" if shape != Shape::One => {
                let items = words.next().ok_or("the item's name is missing")?;
                field.items = items.split('|').collect();
            }
            "required" => field.required = true,
            "rw" => field.writable = Some(true),
            "ro" => field.writable = Some(false),
            "nillable" => field.nillable = true,
            "doubtful" => field.doubtful = true,
            "as" => field.hint = Some(words.next().ok_or("\"as\" needs a hint")?),
            _ => return Err("a word after the type is not known"),
        }
    }
    if shape == Shape::Wrapped && field.items.is_empty() {
        return Err("a wrapper says what its items are called: \"Type[] of Item\"");
    }
    Ok(field)
}

/// An operation line, names not yet resolved.
pub(super) struct OperationLine {
    pub method: Method,
    pub each_query: bool,
    pub action: Option<&'static str>,
    pub action_in_path: bool,
    pub body: Option<(&'static str, bool)>,
    pub parameters: Vec<super::model::Parameter>,
    pub status: u16,
    pub answer: Option<&'static str>,
    pub reference: Option<&'static str>,
    pub task: Option<&'static str>,
    pub links: Vec<super::model::TaskLink>,
    pub page: Option<&'static str>,
}

/// Reads `METHOD [action] [(Body[?])] [{parameters}] -> STATUS [Answer [or Ref]] [task T] [then R T P]… [@page]`.
pub(super) fn operation(line: &'static str) -> Result<OperationLine, &'static str> {
    let (request, answer) = line
        .split_once(" -> ")
        .ok_or("an operation is written \"METHOD … -> STATUS …\"")?;
    let (request, parameters) = match request.split_once(" {") {
        Some((request, rest)) => {
            let inner = rest.strip_suffix('}').ok_or("the parameters do not end with }")?;
            (request, inner.split(", ").map(parameter).collect())
        }
        None => (request, Vec::new()),
    };
    let mut words = request.split_ascii_whitespace();
    let method = words
        .next()
        .and_then(Method::parse)
        .ok_or("the method is not known")?;
    let mut op = OperationLine {
        method,
        each_query: false,
        action: None,
        action_in_path: false,
        body: None,
        parameters,
        status: 0,
        answer: None,
        reference: None,
        task: None,
        links: Vec::new(),
        page: None,
    };
    while let Some(word) = words.next() {
        if word == "each" {
            op.each_query = words.next() == Some("query");
        } else if let Some(body) = word.strip_prefix('(').and_then(|w| w.strip_suffix(')')) {
            op.body = Some(body.strip_suffix('?').map_or((body, false), |body| (body, true)));
        } else if op.action.is_none() {
            op.action_in_path = word.starts_with('/');
            op.action = Some(word.trim_start_matches('/'));
        } else {
            return Err("a word of the request is not known");
        }
    }
    let mut words = answer.split_ascii_whitespace();
    op.status = words
        .next()
        .and_then(|s| s.parse().ok())
        .ok_or("the status is missing")?;
    while let Some(word) = words.next() {
        match word {
            "or" => op.reference = Some(words.next().ok_or("\"or\" needs a type")?),
            "task" => op.task = Some(words.next().ok_or("\"task\" needs a name")?),
            "then" => {
                let (Some(rel), Some(kind), Some(path)) = (words.next(), words.next(), words.next()) else {
                    return Err("\"then\" needs relation, type and path");
                };
                let link_type = (kind != "-").then_some(kind);
                op.links.push(super::model::TaskLink { rel, link_type, path });
            }
            _ => match word.strip_prefix('@') {
                Some(page) => op.page = Some(page),
                None if op.answer.is_none() => op.answer = Some(word),
                None => return Err("a word of the answer is not known"),
            },
        }
    }
    Ok(op)
}

/// Reads `name[!][=a|b][:boolean]`.
fn parameter(text: &'static str) -> super::model::Parameter {
    let (name, values) = text.split_once('=').map_or((text, ""), |(n, v)| (n, v));
    let (name, boolean) = name.strip_suffix(":boolean").map_or((name, false), |n| (n, true));
    let (name, required) = name.strip_suffix('!').map_or((name, false), |n| (n, true));
    let values = if values.is_empty() {
        Box::default()
    } else {
        values.split('|').collect()
    };
    super::model::Parameter {
        name,
        required,
        values,
        boolean,
    }
}
