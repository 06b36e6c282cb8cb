//! `items` and `page` on their way back to EM's lists and query results.
//!
//! A query result holds one list per kind of item; which list an item belongs to says its `type`, else its members.

use super::content::integer;
use super::encode::{Encoder, Read, Step};
use super::error::FieldFaultKind;
use super::json::{Json, Names, NotJson, Token};
use super::xml::At;
use crate::catalogue::{Catalogue, Field, Form, Role, TypeDef, Value};

/// The list that an item of a query result is in.
#[derive(Clone, Copy)]
pub(super) struct Home {
    /// `Entities` or `Resources`; none for references.
    part: Option<&'static Field>,
    list: &'static Field,
    /// What an item says that is in it, where that decided.
    said: Option<&'static str>,
}

impl PartialEq for Home {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.list, other.list)
    }
}

/// The members of a document that is a list or a query result: items, in the order given, then the page.
pub(super) fn document<'a>(encoder: &mut Encoder<'a>, ty: &'static TypeDef, token: Token<'a>) -> Read {
    if token != Token::Object {
        return encoder.refuse(token, FieldFaultKind::Type("an object"));
    }
    let begin = encoder.xml.out.len();
    let (mut items, mut page) = (None, None);
    let (mut others, mut first) = (Names::default(), true);
    while let Some(name) = encoder.json.member(first)? {
        first = false;
        let name = name.get();
        if !others.insert(name.clone()) {
            return encoder.json.error("a member twice");
        }
        let token = encoder.json.token()?;
        let at = encoder.xml.out.len();
        match &*name {
            "items" => {
                items = Some(at);
                self::items(encoder, ty, token)?;
            }
            "page" if ty.form == Form::QueryResult => {
                page = Some(at);
                self::paging_info(encoder, token)?;
            }
            "page" => drop(encoder.json.rest(token)?),
            _ => {
                encoder.fault_at(&name, FieldFaultKind::Unknown(ty.name));
                encoder.json.rest(token)?;
            }
        }
    }
    match (items, page) {
        (None, _) => encoder.fault_at("items", FieldFaultKind::Missing),
        // The page was first, and closed the start tag.
        (Some(items), Some(page)) if page < items => {
            let parts = encoder.xml.out.get_mut(begin + 1..).unwrap_or_default();
            parts.rotate_left(items - begin - 1);
        }
        _ => {}
    }
    Ok(())
}

fn items<'a>(encoder: &mut Encoder<'a>, ty: &'static TypeDef, token: Token<'a>) -> Read {
    let mut open = None;
    encoder.path.push(Step::Member("items"));
    encoder.each(token, |e, token| item(e, ty, &mut open, token))?;
    leave(encoder, &mut open);
    encoder.path.pop();
    Ok(())
}

/// One item, in the list that it belongs to; `open` is the one that the item before was in.
pub(super) fn item<'a>(
    encoder: &mut Encoder<'a>,
    ty: &'static TypeDef,
    open: &mut Option<Home>,
    token: Token<'a>,
) -> Read {
    if ty.form == Form::List {
        // Its one list.
        return match ty.fields.iter().find(|f| f.is_list()) {
            Some(field) => encoder.element(field.name, field, token),
            None => encoder.json.rest(token).map(drop),
        };
    }
    let Some(home) = home(encoder, ty, *open, token)? else {
        return encoder.refuse(token, FieldFaultKind::UnknownItem);
    };
    if *open != Some(home) {
        leave(encoder, open);
        if let Some(part) = home.part {
            encoder.xml.start(part.name);
        }
        encoder.xml.start(home.list.name);
        *open = Some(home);
    }
    let name = home.list.items.first().copied().unwrap_or(home.list.name);
    encoder.element(name, home.list, token)
}

pub(super) fn paging_info<'a>(encoder: &mut Encoder<'a>, token: Token<'a>) -> Read {
    encoder.path.push(Step::Member("page"));
    encoder.xml.start("PagingInfo");
    page(encoder, token)?;
    encoder.xml.end("PagingInfo");
    encoder.path.pop();
    Ok(())
}

pub(super) fn leave(encoder: &mut Encoder<'_>, open: &mut Option<Home>) {
    if let Some(home) = open.take() {
        encoder.xml.end(home.list.name);
        if let Some(part) = home.part {
            encoder.xml.end(part.name);
        }
    }
}

/// The list of a query result that an item belongs to, whose brace is read.
fn home<'a>(
    encoder: &mut Encoder<'a>,
    ty: &'static TypeDef,
    open: Option<Home>,
    token: Token<'a>,
) -> Result<Option<Home>, NotJson> {
    if token != Token::Object {
        return Ok(None);
    }
    let begin = encoder.json.clone();
    // As a rule the first thing that an item says is what the item before said.
    if let Some(Home { said: Some(same), .. }) = open {
        let is_type = encoder
            .json
            .member(true)?
            .is_some_and(|name| name.get() == "type");
        if is_type && matches!(encoder.json.token()?, Token::String(said) if said.get() == same) {
            encoder.json = begin;
            return Ok(open);
        }
        encoder.json = begin.clone();
    }
    let item = encoder.json.rest(token)?;
    encoder.json = begin;
    Ok(search(encoder.content.catalogue, ty, &item))
}

/// The same by the whole item.
fn search(catalogue: &'static Catalogue, ty: &'static TypeDef, item: &Json<'_>) -> Option<Home> {
    let said = item.get("type").and_then(Json::as_str);
    let list = |part, list| Home {
        part,
        list,
        said: None,
    };
    let references = ty
        .fields
        .iter()
        .find(|f| f.name == "Refs")
        .map(|field| list(None, field));
    if said.is_some_and(|t| t.ends_with("Reference")) {
        return references;
    }
    let homes = || {
        ty.fields.iter().flat_map(move |part| {
            let inner = match part.value {
                Value::Type(id) if catalogue.ty(id).form == Form::QueryPart => Some(catalogue.ty(id)),
                _ => None,
            };
            let lists = inner.into_iter().flat_map(|inner| &inner.fields);
            lists.map(move |field| list(Some(part), field))
        })
    };
    let item_type = |home: &Home| match home.list.value {
        Value::Type(id) => Some(catalogue.ty(id)),
        Value::Scalar(_) | Value::Enum(_) => None,
    };
    let says_so = |home: Home| {
        let ty = item_type(&home)?;
        let mut names = ty.link_types.iter().chain(&*ty.roots);
        let said = names.find(|name| Some(**name) == said).copied()?;
        Some(Home {
            said: Some(said),
            ..home
        })
    };
    homes().find_map(says_so).or_else(|| {
        let mut all = references.into_iter().chain(homes());
        all.find(|home| item_type(home).is_some_and(|t| could_be(t, item)))
    })
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
pub(super) fn page<'a>(encoder: &mut Encoder<'a>, token: Token<'a>) -> Read {
    if token == Token::Null {
        return Ok(());
    }
    if token != Token::Object {
        return encoder.refuse(token, FieldFaultKind::Type("an object"));
    }
    let page = encoder.json.rest(token)?;
    let Json::Object(members) = &page else {
        return Ok(());
    };
    for (name, _) in members {
        if !["number", "size", "total", "next", "previous"].contains(&&**name) {
            encoder.fault_at(name, FieldFaultKind::Unknown("PagingInfoType"));
        }
    }
    for (name, attribute) in [
        ("number", "PageNum"),
        ("size", "PageSize"),
        ("total", "PagesCount"),
    ] {
        let number = match page.get(name) {
            None | Some(Json::Null) => continue,
            Some(Json::Number(text)) => integer(text),
            Some(_) => None,
        };
        match number {
            Some(text) => encoder.xml.attribute(attribute, &text),
            None => encoder.fault_at(name, FieldFaultKind::Type("a whole number")),
        }
    }
    let mut links = Vec::new();
    for (name, rel) in [("next", "Next"), ("previous", "Previous")] {
        match page.get(name) {
            None | Some(Json::Null) => {}
            Some(Json::String(url)) => links.push((rel, url)),
            Some(_) => encoder.fault_at(name, FieldFaultKind::Type("a URL or null")),
        }
    }
    if links.is_empty() {
        return Ok(());
    }
    encoder.xml.start("Links");
    for (rel, url) in links {
        encoder.xml.start("Link");
        encoder.xml.attribute("Rel", rel);
        let at = At::Attribute("Href");
        if let Err(fault) = encoder.content.text(&mut encoder.xml, at, Role::Url, url) {
            encoder.fault(fault);
        }
        encoder.xml.end("Link");
    }
    encoder.xml.end("Links");
    Ok(())
}
