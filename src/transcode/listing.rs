//! `items` and `page` on their way back to EM's lists and query results.
//!
//! A query result holds one list per kind of item; which list an item belongs to says its `type`, else its members.

use super::encode::{Encoder, Step, em_url, integer};
use super::error::FieldFaultKind;
use super::json::Json;
use crate::catalogue::{Catalogue, Field, Form, TypeDef, Value};

/// The list that an item of a query result is in.
#[derive(Clone, Copy)]
pub(super) struct Home {
    /// `Entities` or `Resources`; none for references.
    part: Option<&'static Field>,
    pub list: &'static Field,
}

impl Home {
    /// The element of an item.
    pub(super) fn item_name(self) -> &'static str {
        self.list.items.first().copied().unwrap_or(self.list.name)
    }
}

impl PartialEq for Home {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.list, other.list)
    }
}

/// A list root: its items under the name of its repeated child.
pub(super) fn list<'a>(encoder: &mut Encoder<'a>, ty: &'static TypeDef, value: &'a Json<'a>) {
    let Some(items) = members(encoder, ty, value) else {
        return;
    };
    let Some(field) = ty.fields.iter().find(|f| f.is_list()) else {
        return;
    };
    encoder.path.push(Step::Member("items"));
    encoder.each(items, |e, item| e.element(field.name, field, item));
    encoder.path.pop();
}

/// `QueryResult`: items in their lists, in the order given, then the page.
pub(super) fn query_result<'a>(encoder: &mut Encoder<'a>, ty: &'static TypeDef, value: &'a Json<'a>) {
    let Some(items) = members(encoder, ty, value) else {
        return;
    };
    encoder.path.push(Step::Member("items"));
    let mut open = None;
    encoder.each(items, |e, item| match home(e.catalogue, ty, item) {
        Some(home) => {
            enter(e, &mut open, home);
            e.element(home.item_name(), home.list, item);
        }
        None => e.fault(FieldFaultKind::UnknownItem),
    });
    leave(encoder, &mut open);
    encoder.path.pop();
    if let Some(value) = value.get("page") {
        encoder.path.push(Step::Member("page"));
        encoder.xml.start("PagingInfo");
        page(encoder, value);
        encoder.xml.end("PagingInfo");
        encoder.path.pop();
    }
}

/// Opens the list of an item, closing the one that was open.
pub(super) fn enter(encoder: &mut Encoder<'_>, open: &mut Option<Home>, home: Home) {
    if *open == Some(home) {
        return;
    }
    leave(encoder, open);
    if let Some(part) = home.part {
        encoder.xml.start(part.name);
    }
    encoder.xml.start(home.list.name);
    *open = Some(home);
}

pub(super) fn leave(encoder: &mut Encoder<'_>, open: &mut Option<Home>) {
    if let Some(home) = open.take() {
        encoder.xml.end(home.list.name);
        if let Some(part) = home.part {
            encoder.xml.end(part.name);
        }
    }
}

/// `items`, after checking that nothing but `items` and `page` is there.
fn members<'a>(encoder: &mut Encoder<'a>, ty: &'static TypeDef, value: &'a Json<'a>) -> Option<&'a Json<'a>> {
    let Json::Object(all) = value else {
        encoder.fault(FieldFaultKind::Type("an object"));
        return None;
    };
    for (name, _) in all.iter().filter(|(name, _)| name != "items" && name != "page") {
        encoder.fault_at(name, FieldFaultKind::Unknown(ty.name));
    }
    let items = value.get("items");
    if items.is_none() {
        encoder.fault_at("items", FieldFaultKind::Missing);
    }
    items
}

/// The list of a query result that an item belongs to.
pub(super) fn home(catalogue: &'static Catalogue, ty: &'static TypeDef, item: &Json<'_>) -> Option<Home> {
    let said = item.get("type").and_then(Json::as_str);
    let references = ty.fields.iter().find(|f| f.name == "Refs");
    if said.is_some_and(|t| t.ends_with("Reference")) {
        return references.map(|list| Home { part: None, list });
    }
    let homes = || {
        ty.fields.iter().flat_map(move |part| {
            let inner = match part.value {
                Value::Type(id) if catalogue.ty(id).form == Form::QueryPart => Some(catalogue.ty(id)),
                _ => None,
            };
            inner.into_iter().flat_map(move |inner| {
                inner.fields.iter().map(move |list| Home {
                    part: Some(part),
                    list,
                })
            })
        })
    };
    let item_type = |home: &Home| match home.list.value {
        Value::Type(id) => Some(catalogue.ty(id)),
        Value::Scalar(_) | Value::Enum(_) => None,
    };
    if let Some(said) = said {
        let says_so = |home: &Home| {
            item_type(home).is_some_and(|t| t.link_types.contains(&said) || t.roots.contains(&said))
        };
        if let Some(home) = homes().find(says_so) {
            return Some(home);
        }
    }
    let all = references
        .map(|list| Home { part: None, list })
        .into_iter()
        .chain(homes());
    all.into_iter()
        .find(|home| item_type(home).is_some_and(|t| could_be(t, item)))
}

/// Whether a decoded item of this type could look like `item`: no member is strange, no list is missing.
fn could_be(ty: &TypeDef, item: &Json<'_>) -> bool {
    let Json::Object(members) = item else { return false };
    let known = |name: &str| ty.by_json(name).is_some() || (ty.has_uid && name == "id");
    members.iter().all(|(name, _)| known(name))
        && ty
            .fields
            .iter()
            .filter(|f| f.is_list())
            .all(|f| item.get(&f.json).is_some())
}

/// The content of `PagingInfo`, whose start tag is begun.
pub(super) fn page<'a>(encoder: &mut Encoder<'a>, value: &'a Json<'a>) {
    let members = match value {
        Json::Object(members) => members,
        Json::Null => return,
        _ => return encoder.fault(FieldFaultKind::Type("an object")),
    };
    for (name, attribute) in [
        ("number", "PageNum"),
        ("size", "PageSize"),
        ("total", "PagesCount"),
    ] {
        match value.get(name) {
            None | Some(Json::Null) => {}
            Some(Json::Number(text)) if integer(text).is_some() => {
                encoder
                    .xml
                    .attribute(attribute, &integer(text).unwrap_or_default());
            }
            Some(_) => encoder.fault_at(name, FieldFaultKind::Type("a whole number")),
        }
    }
    let mut links = Vec::new();
    for (name, value) in members {
        match (&**name, value) {
            ("number" | "size" | "total", _) | ("next" | "previous", Json::Null) => {}
            ("next", Json::String(url)) => links.push(("Next", url)),
            ("previous", Json::String(url)) => links.push(("Previous", url)),
            ("next" | "previous", _) => encoder.fault_at(name, FieldFaultKind::Type("a URL or null")),
            _ => encoder.fault_at(name, FieldFaultKind::Unknown("PagingInfoType")),
        }
    }
    if links.is_empty() {
        return;
    }
    encoder.xml.start("Links");
    for (rel, url) in links {
        if !super::xml::fits(url) {
            encoder.fault(FieldFaultKind::Character);
        }
        encoder.xml.start("Link");
        encoder.xml.attribute("Rel", rel);
        encoder.xml.attribute("Href", &em_url(encoder.mirror, url));
        encoder.xml.end("Link");
    }
    encoder.xml.end("Links");
}
