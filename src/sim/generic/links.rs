//! Links: from each item to the related ones, and only to those that can be read.

use super::kinds::{Target, kind, kinds, link_type_of};
use crate::catalogue::{Method, Resource, catalogue};
use crate::sim::render::{Form, link};
use crate::sim::scene::{Row, Scene};
use crate::sim::xml::Element;

impl Scene<'_> {
    /// The links of a thing in that form. A reference carries those that lead on, none that act.
    pub fn links(self, row: &Row, form: Form) -> Vec<Element> {
        let own = row.path();
        let mut links = Vec::new();
        for plan in &row.kind.links {
            if form == Form::Reference && !matches!(plan.rel, "Up" | "Alternate" | "Down") {
                continue;
            }
            let (path, name, kind) = match &plan.target {
                Target::Alternate => {
                    let label = row.kind.link_type().unwrap_or(row.kind.label);
                    let (path, kind) = match form {
                        Form::Entity => (own.clone(), format!("{label}Reference")),
                        Form::Reference => (format!("{own}?format=Entity"), label.to_owned()),
                    };
                    (path, Some(self.name(row)), Some(kind))
                }
                Target::Own(tail) if tail.is_empty() => {
                    (own.clone(), Some(self.name(row)), plan.kind.clone())
                }
                Target::Own(tail) => (format!("{own}{tail}"), None, plan.kind.clone()),
                Target::Related(target) => {
                    let Some(target) = kind(target) else { continue };
                    let other = match plan.rel {
                        "Up" => self.relation(row, target),
                        _ => self.related(row, target),
                    };
                    let Some(other) = other else { continue };
                    (other.path(), Some(self.name(&other)), plan.kind.clone())
                }
            };
            links.push(link(plan.rel, self.href(&path), name.as_deref(), kind.as_deref()));
        }
        links
    }

    /// The links of a resource without things of its own: to everything one step below its path.
    pub fn down_links(self, path: &str, below: &[&'static Resource]) -> Vec<Element> {
        below
            .iter()
            .map(|resource| {
                let tail = resource.path.rsplit_once('/').map_or("", |(_, tail)| tail);
                let href = self.href(&format!("{}/{tail}", path.trim_end_matches('/')));
                link("Down", href, None, link_type_of(resource.path).as_deref())
            })
            .collect()
    }

    /// The links of a logon session: everything that is reached without knowing an id.
    pub fn services(self) -> Vec<Element> {
        catalogue()
            .resources()
            .iter()
            .filter(|resource| {
                let readable = resource.operations.iter().any(|o| o.method == Method::Get);
                readable
                    && !resource.path.contains('{')
                    && !matches!(resource.path, "/" | "/query" | "/lookup")
            })
            .map(|resource| {
                let kind = link_type_of(resource.path);
                link("Down", self.href(resource.path), None, kind.as_deref())
            })
            .collect()
    }
}

/// What hangs one literal segment below a resource.
pub fn below(resource: &Resource) -> Vec<&'static Resource> {
    catalogue()
        .resources()
        .iter()
        .filter(|other| {
            let tail = other.path.strip_prefix(resource.path);
            tail.is_some_and(|tail| tail.rfind('/') == Some(0) && !tail.contains('{'))
                && !kinds().iter().any(|kind| kind.item.path == other.path)
        })
        .collect()
}
