//! GET: collections, items, views of collections, services.

use std::sync::Arc;

use super::kinds;
use super::links::below;
use super::place::Place;
use super::{facts, files};
use crate::catalogue::{Form as TypeForm, Operation, TypeDef, catalogue};
use crate::sim::dice::Dice;
use crate::sim::exchange::{Answer, Call, Handled, Refusal};
use crate::sim::inventory::FIRST_PLAN;
use crate::sim::render::Form;
use crate::sim::scene::{Row, Scene};
use crate::sim::xml::Element;

/// The answer to a GET of a resource that exists.
pub fn get(call: &Call<'_>, place: &Place, operation: &'static Operation) -> Handled {
    let scene = call.scene();
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
