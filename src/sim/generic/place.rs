//! The resource that a path names, and the items on the way to it.

use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::facts;
use super::kinds::{kind, kind_of};
use crate::catalogue::{PathMatch, Resource, Segment, catalogue};
use crate::sim::scene::{Row, Scene, segment};

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
