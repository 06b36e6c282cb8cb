//! From the data files to a checked [`Catalogue`].
//!
//! Two passes: collect every name, then resolve. All faults are gathered, so that the editor of a data file sees
//! them at once; what a fault leaves out is simply missing from the half-built result, which is never handed out.

use super::error::{CatalogueError, FaultKind};
use super::line;
use super::loader::{Loader, area_of};
use super::model::{
    Auth, Body, EnumDef, EnumId, Method, Operation, Parameter, Query, QueryField, Resource, Segment,
    TaskLink, TypeId, Value,
};
use super::raw::{File, RawAuth, RawType, Text};
use super::table::Print;
use super::{Catalogue, types};

/// A data file: its name and text.
pub type Source = (&'static str, &'static str);

/// Reads and checks data files.
///
/// # Errors
/// Every fault found, each with its file and entry.
pub fn load(sources: &[Source]) -> Result<Catalogue, CatalogueError> {
    let mut loader = Loader::new();
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

#[expect(clippy::cast_possible_truncation, reason = "an index of some hundred entries")]
fn enums(loader: &mut Loader, catalogue: &mut Catalogue, files: &[(&'static str, File)]) {
    for (file, parsed) in files {
        for (Text(name), listed) in &parsed.enums {
            loader.name(file, name, Value::Enum(EnumId(catalogue.enums.len() as u16)));
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
            loader.name(file, name, Value::Type(TypeId(all.len() as u16)));
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
            let mut firsts = resource.templates.iter().filter_map(|template| template.first());
            if firsts.any(|first| !matches!(first, Segment::Literal(_))) {
                loader.fault(file, *path, FaultKind::NoFirstWord);
            }
            catalogue.resources.push(resource);
        }
    }
    catalogue.resources.sort_by_key(|r| r.path);
    catalogue.index();
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
