//! POST, PUT and DELETE: what they change, and what they answer.

use std::sync::Arc;

use http::StatusCode;

use super::kinds::{Kind, kind};
use super::place::Place;
use super::reads::single;
use super::values::Spot;
use super::{body, kinds};
use crate::catalogue::{Method, Operation, catalogue};
use crate::sim::exchange::{Answer, Call, Handled, Refusal, accept_with};
use crate::sim::logon::{Related, Work};
use crate::sim::scene::{Row, collection_path};
use crate::sim::xml::{Node, read};

/// Simulated seconds of any change.
const CHANGE_SECONDS: f64 = 1.0;
/// What a request may call the name of the thing that it creates.
const NAMES: [&str; 9] = [
    "Name",
    "JobName",
    "AccountName",
    "OrganizationName",
    "ServerHostName",
    "HierarchyObjName",
    "DnsNameOrIpAddress",
    "IpAddressLowerBound",
    "ObjectName",
];

/// Does what a request of a resource that exists asks for.
pub fn act(call: &mut Call<'_>, place: &Place, operation: &'static Operation) -> Handled {
    let body = request_body(call, operation)?;
    for parameter in operation.parameters.iter().filter(|parameter| parameter.boolean) {
        if let Some(value) = call.request.parameter(parameter.name)
            && !matches!(value.to_ascii_lowercase().as_str(), "true" | "false")
        {
            return Err(Refusal::bad_request(format!(
                "'{value}' is not a value of '{}'",
                parameter.name
            )));
        }
    }
    let created = change(call, place, operation, body.as_ref());
    let status = StatusCode::from_u16(operation.status).unwrap_or(StatusCode::OK);
    let answer = operation.answer.map(|id| catalogue().ty(id));
    match answer {
        Some(ty) if ty.name == "TaskType" && status != StatusCode::NO_CONTENT => {
            let links = task_links(call, place, operation, created.as_ref());
            let name = operation.task.or(operation.action).unwrap_or("Change");
            let answer = accept_with(call, name, CHANGE_SECONDS, Work::Change, links)?;
            Ok(Answer { status, ..answer })
        }
        Some(ty) if status != StatusCode::NO_CONTENT => {
            let root = ty.roots.first().copied().unwrap_or("Error");
            let document = single(call.scene(), place, root, ty);
            document
                .map(|document| Answer::new(status, document))
                .ok_or_else(|| Refusal::not_found("Resource"))
        }
        _ => Ok(Answer::empty(status)),
    }
}

/// The body, checked; nothing where the operation takes none.
fn request_body(call: &Call<'_>, operation: &Operation) -> Result<Option<Node>, Refusal> {
    if operation.method != Method::Delete {
        call.demand_xml()?;
    }
    let empty = call.request.body.is_empty();
    let Some(expected) = operation.body else {
        return if empty {
            Ok(None)
        } else {
            Err(Refusal::bad_request("This request has no body"))
        };
    };
    if empty && expected.optional {
        return Ok(None);
    }
    let node = read(&call.request.body).map_err(Refusal::bad_request)?;
    if node.name != expected.root.name {
        return Err(Refusal::bad_request(format!(
            "'{}' was expected instead of '{}'",
            expected.root.name, node.name
        )));
    }
    body::check(&node, catalogue().ty(expected.root.ty)).map_err(Refusal::bad_request)?;
    Ok(Some(node))
}

/// Changes the world; gives the thing that came to be, if one did.
fn change(call: &mut Call<'_>, place: &Place, operation: &Operation, body: Option<&Node>) -> Option<Row> {
    let action = operation.action.unwrap_or("").to_ascii_lowercase();
    match (operation.method, action.as_str(), place.item()) {
        (Method::Post, "" | "create", None) => {
            let home = kind(place.resource.path)?;
            let owner = home.owner.and_then(|_| place.last());
            Some(create(call, home, owner, operation, body))
        }
        (Method::Post, "clone", Some(item)) => Some(create(call, item.kind, None, operation, body)),
        (Method::Delete, _, Some(item)) => {
            call.world.changes.remove(item.key);
            None
        }
        (Method::Put, _, Some(item)) => {
            let (node, root) = (body?, operation.body?.root);
            let kept = body::kept(node, catalogue().ty(root.ty), item.kind.entity);
            call.world.changes.edit(item.key, kept);
            let may_rename = item.kind.entity.attribute(b"Name");
            let name = node.attributes.iter().find(|(name, _)| name == "Name");
            if let (Some((_, field)), Some((_, name))) = (may_rename, name)
                && field.writable == Some(true)
            {
                call.world.changes.rename(item.key, name);
            }
            None
        }
        (Method::Post, _, Some(item)) => {
            switch(call, item, &action);
            None
        }
        _ => None,
    }
}

fn create(
    call: &mut Call<'_>,
    home: &'static Kind,
    owner: Option<&Arc<Row>>,
    operation: &Operation,
    body: Option<&Node>,
) -> Row {
    let scene = call.scene();
    let row = scene.nth(home, scene.next(home, owner.map(Arc::as_ref)), owner);
    let collection = collection_path(home, owner.map(Arc::as_ref));
    let changes = &mut call.world.changes;
    changes.create(&collection);
    if let (Some(node), Some(root)) = (body, operation.body.map(|body| body.root)) {
        if let Some(name) = name_in(node) {
            changes.rename(row.key, name);
        }
        let kept = body::kept(node, catalogue().ty(root.ty), home.entity);
        changes.edit(row.key, kept);
    }
    row
}

/// The name of what a request creates: its own, or that of the one structure inside.
fn name_in(node: &Node) -> Option<&str> {
    let own = NAMES.iter().find_map(|name| node.child(name));
    match own {
        Some(name) => Some(name.text.trim()).filter(|name| !name.is_empty()),
        None => node
            .children
            .first()
            .filter(|_| node.children.len() == 1)
            .and_then(name_in),
    }
}

/// Actions that turn something on or off.
fn switch(call: &mut Call<'_>, item: &Row, action: &str) {
    let (name, value) = match action {
        "togglescheduleenabled" => ("ScheduleEnabled", None),
        "enable" => ("ScheduleEnabled", Some(true)),
        "disable" if item.kind.entity.element(b"IsDisabled").is_some() => ("IsDisabled", Some(true)),
        "disable" => ("ScheduleEnabled", Some(false)),
        _ => return,
    };
    let Some((_, field)) = item.kind.entity.element(name.as_bytes()) else {
        return;
    };
    let scene = call.scene();
    let before = match scene.world.changes.text(item.key, name) {
        Some(text) => Some(text.to_owned()),
        None => scene.scalar(Spot::of(item), field, false),
    };
    let after = value.unwrap_or_else(|| before.as_deref() != Some("true"));
    let node = Node {
        name: name.to_owned(),
        text: after.to_string(),
        ..Node::default()
    };
    call.world.changes.edit(item.key, vec![node]);
}

/// What the finished task of an operation links.
fn task_links(call: &Call<'_>, place: &Place, operation: &Operation, created: Option<&Row>) -> Vec<Related> {
    let scene = call.scene();
    operation
        .task_links
        .iter()
        .filter_map(|link| {
            let related = |path: String, name: Option<String>| Related {
                rel: link.rel,
                path,
                name,
                kind: link.link_type,
            };
            if link.path.ends_with("{filepath}") {
                return Some(related(format!("{}?action=download", place.path), None));
            }
            let Some((home, _)) = link.path.rsplit_once("/{") else {
                return Some(related(link.path.to_owned(), None));
            };
            let target = kinds::kind(home)?;
            // The manual's examples name the wrong kind of mount point once; what was made is what is linked.
            let made = created.filter(|row| row.kind.path == target.path || row.kind.owner.is_some());
            let row = match (made, place.last(), created) {
                (Some(row), _, _) => row.clone(),
                (None, Some(last), _) => scene.related(last, target)?,
                (None, None, Some(row)) => scene.related(row, target)?,
                (None, None, None) => scene.rows(target, None).into_iter().next()?,
            };
            let form = if row.kind.key { "?format=Entity" } else { "" };
            Some(related(format!("{}{form}", row.path()), Some(scene.name(&row))))
        })
        .collect()
}
