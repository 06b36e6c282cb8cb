//! From the data files to a checked [`Catalogue`].
//!
//! Two passes: collect every name, then resolve. All faults are gathered, so that whoever edits a data file sees
//! them at once; what a fault leaves out is simply missing from the half-built result, which nobody gets.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::{CatalogueError, Fault, FaultKind};
use super::line;
use super::model::{
    Auth, Body, EnumDef, EnumId, Field, Key, Kind, Lead, Method, Operation, Parameter, Place, Query,
};
use super::model::{QueryField, Resource, Role, Root, Scalar, Segment, Shape, TaskLink, TypeId, Value};
use super::table::Print;
use super::{Catalogue, types};

/// A data file as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    types: BTreeMap<Text, RawType>,
    #[serde(default)]
    enums: BTreeMap<Text, Vec<Text>>,
    #[serde(default)]
    resources: BTreeMap<Text, RawResource>,
    #[serde(default)]
    queries: BTreeMap<Text, RawQuery>,
    #[serde(default, rename = "link-relations")]
    link_relations: BTreeMap<Text, Text>,
}

/// Text of a data file. The parser lends nothing, so it is leaked: once, under two hundred kilobytes.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub(super) struct Text(pub &'static str);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.leak()))
    }
}

/// `[types.T]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawType {
    pub about: Option<Text>,
    pub kind: RawKind,
    pub extends: Option<Text>,
    #[serde(default)]
    pub root: Vec<Text>,
    pub root_guess: Option<Text>,
    #[serde(default)]
    pub link_types: Vec<Text>,
    #[serde(default)]
    pub choice: Vec<Vec<Text>>,
    pub fields: Vec<Text>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawKind {
    Abstract,
    Entity,
    Resource,
    Info,
    Spec,
    List,
    Query,
}

impl From<RawKind> for Kind {
    fn from(kind: RawKind) -> Self {
        match kind {
            RawKind::Abstract => Self::Abstract,
            RawKind::Entity => Self::Entity,
            RawKind::Resource => Self::Resource,
            RawKind::Info => Self::Info,
            RawKind::Spec => Self::Spec,
            RawKind::List => Self::List,
            RawKind::Query => Self::Query,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawResource {
    about: Option<Text>,
    page: Option<Text>,
    entity: Option<Text>,
    query: Option<Text>,
    auth: Option<RawAuth>,
    window_days: Option<u16>,
    documented: Option<bool>,
    #[serde(default)]
    aliases: Vec<Text>,
    operations: Vec<Text>,
    #[serde(default)]
    links: Vec<Text>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum RawAuth {
    None,
    Basic,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuery {
    resource: Text,
    page: Option<Text>,
    fields: Vec<Text>,
}

/// A data file: its name and text.
pub type Source = (&'static str, &'static str);

/// Names seen so far and the faults found.
pub(super) struct Loader {
    pub faults: Vec<Fault>,
    pub scalars: BTreeMap<&'static str, Value>,
}

impl Loader {
    pub(super) fn fault(&mut self, file: &'static str, name: impl Into<String>, what: FaultKind) {
        self.faults.push(Fault {
            file,
            name: name.into(),
            what,
        });
    }

    /// Scalar, enumeration or type of this name.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        self.scalars.get(name).copied()
    }

    fn type_id(&mut self, file: &'static str, owner: &str, name: Option<&'static str>) -> Option<TypeId> {
        let name = name?;
        if let Some(Value::Type(id)) = self.value(name) {
            return Some(id);
        }
        self.fault(file, owner, FaultKind::UnknownType(name.to_owned()));
        None
    }
}

/// Reads and checks data files.
///
/// # Errors
/// Every fault found, each with its file and entry.
pub fn load(sources: &[Source]) -> Result<Catalogue, CatalogueError> {
    let mut loader = Loader {
        faults: Vec::new(),
        scalars: Scalar::ALL
            .iter()
            .map(|(name, s)| (*name, Value::Scalar(*s)))
            .collect(),
    };
    let mut files = Vec::new();
    for (file, text) in sources {
        match toml::from_str::<File>(text) {
            Ok(parsed) => files.push((*file, parsed)),
            Err(e) => loader.fault(file, "the file", FaultKind::Unreadable(e.message().to_owned())),
        }
    }
    let mut catalogue = Catalogue::default();
    enums(&mut loader, &mut catalogue, &files);
    let raw = collect_types(&mut loader, &mut files);
    types::build(&mut loader, &mut catalogue, &raw);
    link_relations(&mut loader, &mut catalogue, &files);
    queries(&mut loader, &mut catalogue, &files);
    resources(&mut loader, &mut catalogue, &files);
    if loader.faults.is_empty() {
        Ok(catalogue)
    } else {
        Err(CatalogueError(loader.faults))
    }
}

fn name_it(loader: &mut Loader, file: &'static str, name: &'static str, value: Value) {
    if loader.scalars.insert(name, value).is_some() {
        loader.fault(file, name, FaultKind::Duplicate);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an index of some hundred entries")]
fn enums(loader: &mut Loader, catalogue: &mut Catalogue, files: &[(&'static str, File)]) {
    for (file, parsed) in files {
        for (Text(name), listed) in &parsed.enums {
            name_it(
                loader,
                file,
                name,
                Value::Enum(EnumId(catalogue.enums.len() as u16)),
            );
            if listed.is_empty() {
                loader.fault(file, *name, FaultKind::Empty);
            }
            let mut meanings = Vec::new();
            let listed = listed.iter().map(|Text(line)| {
                let (word, meaning) = line::described(line);
                meanings.extend(meaning.map(|meaning| (word.trim_start_matches('~'), meaning)));
                word
            });
            let (observed, values): (Vec<&'static str>, Vec<_>) = listed.partition(|v| v.starts_with('~'));
            let observed: Box<[_]> = observed.iter().map(|v| v.trim_start_matches('~')).collect();
            let prints = values
                .iter()
                .chain(&*observed)
                .map(|v| Print::of(v.as_bytes()))
                .collect();
            let area = area_of(file);
            catalogue.enums.push(EnumDef {
                name,
                area,
                prints,
                values: values.into(),
                observed,
                meanings: meanings.into(),
            });
        }
    }
}

/// Every type with its file, in the order of ids.
#[expect(clippy::cast_possible_truncation, reason = "an index of some hundred entries")]
fn collect_types(
    loader: &mut Loader,
    files: &mut [(&'static str, File)],
) -> Vec<(&'static str, &'static str, RawType)> {
    let mut all = Vec::new();
    for (file, parsed) in files {
        for (Text(name), raw) in std::mem::take(&mut parsed.types) {
            name_it(loader, file, name, Value::Type(TypeId(all.len() as u16)));
            all.push((*file, name, raw));
        }
    }
    all
}

fn link_relations(loader: &mut Loader, catalogue: &mut Catalogue, files: &[(&'static str, File)]) {
    for (file, parsed) in files {
        for (Text(rel), Text(method)) in &parsed.link_relations {
            match Method::parse(method) {
                Some(_) if catalogue.link_relations.iter().any(|(r, _)| r == rel) => {
                    loader.fault(file, *rel, FaultKind::Duplicate);
                }
                Some(method) => catalogue.link_relations.push((rel, method)),
                None => loader.fault(
                    file,
                    *rel,
                    FaultKind::Line((*method).to_owned(), "a relation has GET, POST, PUT or DELETE"),
                ),
            }
        }
    }
}

fn queries(loader: &mut Loader, catalogue: &mut Catalogue, files: &[(&'static str, File)]) {
    let paths: Vec<&str> = files
        .iter()
        .flat_map(|(_, f)| f.resources.keys().map(|k| k.0))
        .collect();
    for (file, parsed) in files {
        for (Text(name), raw) in &parsed.queries {
            if catalogue
                .queries
                .iter()
                .any(|q: &Query| q.name.eq_ignore_ascii_case(name))
            {
                loader.fault(file, *name, FaultKind::Duplicate);
            }
            if !paths.contains(&raw.resource.0) {
                loader.fault(file, *name, FaultKind::UnknownResource(raw.resource.0.to_owned()));
            }
            let mut fields: Vec<QueryField> = Vec::new();
            for Text(text) in &raw.fields {
                let at = || format!("{name}: {text}");
                match line::field(text) {
                    Ok(l) if fields.iter().any(|f| f.name.eq_ignore_ascii_case(l.name)) => {
                        loader.fault(file, at(), FaultKind::Duplicate);
                    }
                    Ok(l) => match loader.value(l.value) {
                        Some(value @ (Value::Scalar(_) | Value::Enum(_))) => {
                            fields.push(QueryField {
                                name: l.name,
                                value,
                                doubtful: l.doubtful,
                                about: l.about,
                            });
                        }
                        _ => loader.fault(file, at(), FaultKind::UnknownType(l.value.to_owned())),
                    },
                    Err(why) => loader.fault(file, *name, FaultKind::Line((*text).to_owned(), why)),
                }
            }
            let area = area_of(file);
            catalogue.queries.push(Query {
                name,
                area,
                resource: raw.resource.0,
                page: raw.page.map(|t| t.0),
                fields: fields.into(),
            });
        }
    }
    catalogue.queries.sort_by_key(|q| q.name);
}

fn resources(loader: &mut Loader, catalogue: &mut Catalogue, files: &[(&'static str, File)]) {
    for (file, parsed) in files {
        for (Text(path), raw) in &parsed.resources {
            if catalogue
                .resources
                .iter()
                .any(|r: &Resource| r.path.eq_ignore_ascii_case(path))
            {
                loader.fault(file, *path, FaultKind::Duplicate);
            }
            if let Some(query) = raw.query.map(|t| t.0).filter(|q| catalogue.query(q).is_none()) {
                loader.fault(file, *path, FaultKind::UnknownQuery(query.to_owned()));
            }
            let resource = Resource {
                path,
                aliases: raw.aliases.iter().map(|t| t.0).collect(),
                area: area_of(file),
                entity: loader.type_id(file, path, raw.entity.map(|t| t.0)),
                query: raw.query.map(|t| t.0),
                auth: match raw.auth {
                    None => Auth::Session,
                    Some(RawAuth::None) => Auth::None,
                    Some(RawAuth::Basic) => Auth::Basic,
                },
                window_days: raw.window_days,
                documented: raw.documented.unwrap_or(true),
                page: raw.page.map(|t| t.0),
                about: raw.about.map(|t| t.0),
                operations: operations(loader, catalogue, file, path, &raw.operations),
                links: links(loader, catalogue, file, path, &raw.links),
                templates: std::iter::once(*path)
                    .chain(raw.aliases.iter().map(|t| t.0))
                    .map(segments)
                    .collect(),
            };
            catalogue.resources.push(resource);
        }
    }
    catalogue.resources.sort_by_key(|r| r.path);
}

fn operations(
    loader: &mut Loader,
    catalogue: &Catalogue,
    file: &'static str,
    path: &'static str,
    lines: &[Text],
) -> Box<[Operation]> {
    let mut all: Vec<Operation> = Vec::new();
    for Text(text) in lines {
        let read = match line::operation(text) {
            Ok(read) => read,
            Err(why) => {
                loader.fault(file, path, FaultKind::Line((*text).to_owned(), why));
                continue;
            }
        };
        let same = |o: &Operation| o.method == read.method && o.action == read.action;
        if all.iter().any(same) {
            let which = format!("{} {}", read.method.as_str(), read.action.unwrap_or_default());
            loader.fault(file, path, FaultKind::SameOperation(which.trim_end().to_owned()));
        }
        let mut body = None;
        if let Some((root, optional)) = read.body {
            match catalogue.root(root) {
                Some(root) => body = Some(Body { root, optional }),
                None => loader.fault(file, path, FaultKind::UnknownRoot(root.to_owned())),
            }
        }
        for link in &read.links {
            known_relation(loader, catalogue, file, path, link.rel);
        }
        let operation = Operation {
            method: read.method,
            action: read.action,
            action_in_path: read.action_in_path,
            query: None,
            body,
            parameters: Box::<[Parameter]>::from(read.parameters),
            status: read.status,
            answer: loader.type_id(file, path, read.answer),
            reference: loader.type_id(file, path, read.reference),
            task: read.task,
            task_links: Box::<[TaskLink]>::from(read.links),
            page: read.page,
        };
        if read.each_query {
            let per_query = |q: &Query| Operation {
                query: Some(q.name),
                page: q.page,
                ..operation.clone()
            };
            all.extend(catalogue.queries.iter().map(per_query));
        } else {
            all.push(operation);
        }
    }
    all.into()
}

fn links(
    loader: &mut Loader,
    catalogue: &Catalogue,
    file: &'static str,
    path: &'static str,
    lines: &[Text],
) -> Box<[(&'static str, &'static str)]> {
    let mut all = Vec::new();
    for Text(text) in lines {
        match text.split_once(' ') {
            Some((rel, target)) => {
                known_relation(loader, catalogue, file, path, rel);
                all.push((rel, target));
            }
            None => {
                loader.fault(
                    file,
                    path,
                    FaultKind::Line((*text).to_owned(), "a link is \"Rel /target\""),
                );
            }
        }
    }
    all.into()
}

fn known_relation(loader: &mut Loader, c: &Catalogue, file: &'static str, path: &str, rel: &str) {
    if !c.link_relations.iter().any(|(known, _)| *known == rel) {
        loader.fault(file, path, FaultKind::UnknownRelation(rel.to_owned()));
    }
}

/// The segments of a path template.
fn segments(path: &'static str) -> Box<[Segment]> {
    path.split('/')
        .filter(|s| !s.is_empty())
        .map(|s| match s.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            Some("filepath") => Segment::Rest("filepath"),
            Some(name) => Segment::Parameter(name),
            None => Segment::Literal(s),
        })
        .collect()
}

/// `cloud.toml` → `cloud`.
pub(super) fn area_of(file: &'static str) -> &'static str {
    file.strip_suffix(".toml").unwrap_or(file)
}

/// The key of a field with what always follows it: `"` of a text, `[` of a list.
pub(super) fn opening(key: &str, shape: Shape, value: Value, role: Role) -> String {
    match (shape, value, role) {
        (Shape::Wrapped | Shape::Repeated, ..) => format!("{key}["),
        (Shape::One, Value::Scalar(s), Role::Plain) if s.is_text() => format!("{key}\""),
        _ => key.to_owned(),
    }
}

/// A field line that is resolved.
pub(super) fn field(read: line::FieldLine, value: Value, json: String) -> Field {
    let role = match (read.place, read.name, value) {
        (Place::Attribute, "UID", _) => Role::Uid,
        (Place::Attribute, "Rel", _) => Role::Relation,
        (_, _, Value::Scalar(Scalar::Url)) => Role::Url,
        _ => Role::Plain,
    };
    let key = format!(",{}:", serde_json::Value::String(json.clone()));
    let opening = opening(&key, read.shape, value, role);
    Field {
        name: read.name,
        json: json.into(),
        key: Key::new(key),
        opening: Key::new(opening),
        lead: Lead::new(read.name),
        print: Print::of(read.name.as_bytes()),
        place: read.place,
        shape: read.shape,
        value,
        role,
        items: read.items.into(),
        required: read.required,
        writable: read.writable,
        nillable: read.nillable,
        doubtful: read.doubtful,
        hint: read.hint,
        from: None,
        about: read.about,
    }
}

/// The JSON name of a field: `value` for character data.
pub(super) fn json_name(name: &str, place: Place) -> String {
    if place == Place::Text {
        "value".to_owned()
    } else {
        crate::text::lower_camel(name)
    }
}

/// Documents of a type, guessed ones last.
pub(super) fn roots(raw: &RawType, ty: TypeId) -> impl Iterator<Item = Root> {
    let shown = raw.root.iter().map(move |name| Root {
        name: name.0,
        ty,
        guessed: false,
    });
    shown.chain(raw.root_guess.map(move |name| Root {
        name: name.0,
        ty,
        guessed: true,
    }))
}
