//! GET: collections, things, views of collections, services.

use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::kinds;
use super::kinds::{kind, kind_of};
use super::links::below;
use super::rows::{Row, Scene, segment};
use super::{facts, files};
use crate::catalogue::{Form as TypeForm, Operation, PathMatch, Resource, Segment, TypeDef, catalogue};
use crate::sim::dice::Dice;
use crate::sim::render::Form;
use crate::sim::routes::{Answer, Call, Handled, Refusal};
use crate::sim::world::FIRST_PLAN;
use crate::sim::xml::Element;

/// A resource, and the things that its path names.
#[derive(Debug)]
pub struct Place {
    pub resource: &'static Resource,
    pub rows: Vec<Arc<Row>>,
    /// The path in a guest file system, decoded.
    pub file: Option<String>,
    /// The path below `/api`.
    pub path: String,
}

impl Place {
    /// The last thing that the path names.
    pub fn last(&self) -> Option<&Arc<Row>> {
        self.rows.last()
    }

    /// The thing that the whole path names.
    pub fn item(&self) -> Option<&Arc<Row>> {
        let last = self.last()?;
        last.kind
            .item
            .path
            .eq_ignore_ascii_case(self.resource.path)
            .then_some(last)
    }
}

impl Scene<'_> {
    /// What a path names; nothing where one of its things does not exist.
    pub fn locate(self, found: &PathMatch<'static, '_>) -> Option<Place> {
        let mut place = Place {
            resource: found.resource,
            rows: Vec::new(),
            file: None,
            path: String::new(),
        };
        let mut template = String::new();
        let mut given = found.parameters.iter().map(|(_, value)| decode(value));
        for part in found.resource.segments() {
            match part {
                Segment::Literal(text) => {
                    template = format!("{template}/{text}");
                    place.path = format!("{}/{text}", place.path);
                }
                Segment::Parameter(name) => {
                    let kind = kind(&template)?;
                    let owner = kind.owner.and_then(|_| place.rows.last());
                    let row = self.find(kind, owner, &given.next()?)?;
                    place.path = row.path();
                    place.rows.push(Arc::new(row));
                    template = format!("{template}/{{{name}}}");
                }
                Segment::Rest(_) => {
                    let file = given.next()?;
                    place.path = format!(
                        "{}/{}",
                        place.path,
                        file.split('/').map(segment).collect::<Vec<_>>().join("/")
                    );
                    place.file = Some(file);
                }
            }
        }
        Some(place)
    }

    /// The things that a collection shows.
    pub fn members(self, place: &Place) -> Vec<Row> {
        if let Some(own) = kind(place.resource.path) {
            return self.rows(own, own.owner.and_then(|_| place.last()));
        }
        let home = place
            .resource
            .entity
            .and_then(|entity| kind_of(catalogue().ty(entity)));
        let Some(home) = home else { return Vec::new() };
        let below = place.last().map(Arc::as_ref);
        self.rows(home, None)
            .into_iter()
            .filter(|row| facts::shows(self, place.resource.path, row, below))
            .collect()
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The answer to a GET of a resource that exists.
pub fn get(call: &Call<'_>, place: &Place, operation: &'static Operation) -> Handled {
    let scene = scene(call);
    let ty = operation
        .answer
        .map(|id| catalogue().ty(id))
        .ok_or_else(|| Refusal::not_found("Representation"))?;
    if matches!(ty.name, "FileSystemEntriesType" | "FileSystemEntryType") {
        return files::get(call, place, ty);
    }
    let form = match (call.form()?, operation.reference) {
        (Form::Reference, Some(_)) => Form::Reference,
        _ => Form::Entity,
    };
    let root = ty.roots.first().copied().unwrap_or("EntityReferences");
    let document = match (ty.form, place.item()) {
        (TypeForm::List, _) if place.resource.path == "/lookup" => lookup(call, root, ty),
        (TypeForm::List, _) => {
            let (root, item) = match form {
                Form::Reference => ("EntityReferences", "Ref"),
                Form::Entity => (root, ty.fields.first().map_or("Ref", |field| field.name)),
            };
            let members = scene.members(place);
            Element::new(root).children(members.iter().map(|row| scene.document(row, form, item, true)))
        }
        (_, Some(row)) => {
            let root = if form == Form::Reference {
                "EntityRef"
            } else {
                root
            };
            scene.document(row, form, root, true)
        }
        _ => single(scene, place, root, ty).ok_or_else(|| Refusal::not_found("Resource"))?,
    };
    Ok(Answer::ok(document))
}

/// The world as a call sees it.
pub fn scene<'a>(call: &'a Call<'_>) -> Scene<'a> {
    Scene {
        world: call.world,
        now: call.now,
    }
}

/// A resource that there is one of, or what an action of a thing answers.
pub fn single(scene: Scene<'_>, place: &Place, root: &'static str, ty: &'static TypeDef) -> Option<Element> {
    let row = Row {
        kind: kinds::single(place.resource)?,
        index: 0,
        id: place.path.clone(),
        key: Dice::from_name(&place.path).id(),
        owner: place.last().map(Arc::clone),
    };
    let links = scene.down_links(&place.path, &below(place.resource));
    Some(scene.single(root, ty, &row, links))
}

/// `GET /lookup?host=…&name=…&type=…`: objects of the hypervisors.
fn lookup(call: &Call<'_>, root: &'static str, ty: &'static TypeDef) -> Element {
    let item = ty.fields.first().map_or("HierarchyItem", |field| field.name);
    let wanted = call.request.parameter("name").unwrap_or_default().to_lowercase();
    let kind = call.request.parameter("type").unwrap_or_else(|| "Vm".to_owned());
    let host = call.request.parameter("host").unwrap_or_default();
    let host = host.rsplit(':').next().unwrap_or("");
    let root_id = if host.is_empty() {
        FIRST_PLAN.to_string()
    } else {
        host.to_owned()
    };
    let found = (0..12)
        .map(facts::machine)
        .enumerate()
        .filter(|(_, name)| name.to_lowercase().contains(&wanted));
    Element::new(root).children(found.map(|(at, name)| {
        Element::new(item)
            .attr("Type", "HierarchyItem")
            .text_child(
                "ObjectRef",
                format!("urn:VMware:{kind}:{root_id}.vm-{}", 100 + at),
            )
            .text_child("ObjectType", kind.as_str())
            .text_child("ObjectName", name)
    }))
}
