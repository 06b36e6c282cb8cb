//! Records that are damaged on request: what a bad script's output, a broken database or a later version does to one row.
//!
//! A kind changes the element that is written, or leaves a mark in its text that becomes other bytes once the document is
//! written. The row is damaged in queries, and with `alone` also where it is read by itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use uuid::Uuid;

use super::marks::MARK;
use super::xml::Element;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A control character.
    EscByte,
    /// A byte of Latin-1.
    InvalidUtf8,
    /// A reference to an undeclared entity.
    BadEntity,
    /// An ampersand that begins nothing.
    BareAmpersand,
    /// An end tag too many.
    MismatchedTag,
    /// An element without its end.
    UnclosedTag,
    /// Elements that nest a hundred levels deep.
    Deep,
    /// Two megabytes of text.
    Huge,
    /// `State` twice, or `Description` where there is none.
    RepeatedPart,
    /// No URN.
    NoUid,
    /// Neither URN nor address.
    NoIdentity,
    /// Neither, and an undeclared entity.
    Unknowable,
    /// No `State`.
    NoState,
    /// Text where numbers and times should be.
    WrongTypes,
    /// An element that only a later version has.
    LaterPart,
}

/// A record and what is wrong with it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Damage {
    /// The id of a failover session or plan.
    pub id: Uuid,
    pub kind: Kind,
    /// Whether it is damaged where it is read by itself, too.
    #[serde(default)]
    pub alone: bool,
}

/// What is damaged at the moment.
#[derive(Debug, Default)]
pub struct Damages(BTreeMap<Uuid, Damage>);

impl Damages {
    pub fn set(&mut self, damage: Damage) {
        self.0.insert(damage.id, damage);
    }

    /// Heals that record, or all.
    pub fn heal(&mut self, id: Option<Uuid>) {
        match id {
            Some(id) => {
                self.0.remove(&id);
            }
            None => self.0.clear(),
        }
    }

    /// The record as a row of a query that shows entities; references hold nothing that could be damaged.
    pub fn in_list(&self, id: Uuid, entities: bool, element: Element) -> Element {
        match self.0.get(&id) {
            Some(damage) if entities => damage.kind.done_to(element),
            _ => element,
        }
    }

    /// The record by itself.
    pub fn by_itself(&self, id: Uuid, element: Element) -> Element {
        match self.0.get(&id) {
            Some(damage) if damage.alone => damage.kind.done_to(element),
            _ => element,
        }
    }
}

impl Kind {
    fn done_to(self, mut element: Element) -> Element {
        let text = if element.name.ends_with("Plan") {
            "Description"
        } else {
            "FailureMessage"
        };
        let letter = match self {
            Self::EscByte => 'e',
            Self::InvalidUtf8 => 'u',
            Self::BadEntity => 'b',
            Self::BareAmpersand => 'a',
            Self::MismatchedTag => 'm',
            Self::UnclosedTag => 'o',
            Self::Deep => 'd',
            Self::Huge => 'h',
            Self::RepeatedPart => {
                let name = if element.name.ends_with("Plan") {
                    "Description"
                } else {
                    "State"
                };
                let twice = Element::leaf(name, "Twice");
                return element.child(twice.clone()).child(twice);
            }
            Self::NoUid | Self::NoIdentity => {
                let both = self == Self::NoIdentity;
                let lost = |name: &str| name == "UID" || (both && name == "Href");
                element.attributes.retain(|(name, _)| !lost(name));
                return element;
            }
            Self::Unknowable => return Self::BadEntity.done_to(Self::NoIdentity.done_to(element)),
            Self::NoState => {
                element.children.retain(|child| child.name != "State");
                return element;
            }
            Self::LaterPart => return element.text_child("LaterMember", "1".to_owned()),
            Self::WrongTypes => {
                for child in &mut element.children {
                    if matches!(child.name, "Progress" | "CreationTimeUTC" | "EndTimeUTC") {
                        child.text = Some("yesterday".to_owned());
                    }
                }
                return element;
            }
        };
        let mark = format!("{MARK}{letter}");
        match element.children.iter_mut().find(|child| child.name == text) {
            Some(child) => {
                child.text.get_or_insert_default().push_str(&mark);
                element
            }
            None => element.text_child(text, mark),
        }
    }
}
