//! What the catalogue does not know: kept by general rules, buffered within a budget, reported.
//!
//! Text becomes a string, children or attributes an object, what repeats an array. Names that would collide are
//! distinguished: a child keeps its name, an attribute gets the suffix `Attribute`.

use std::collections::HashMap;

use super::attributes::Attributes;
use super::decode::local;
use super::error::{DecodeError, excerpt};
use super::source::{Source, Tag, Token};
use super::start;
use super::state::State;
use super::text::{self, Raw};
use crate::text::lower_camel;

/// Bytes of unknown elements held at any time.
pub(super) const BUDGET: usize = 1024 * 1024;

/// What one member costs beyond its text.
const OVERHEAD: usize = 64;

/// Members of an object that cannot be written yet.
#[derive(Default)]
pub(super) struct Members {
    list: Vec<Member>,
    index: HashMap<String, usize>,
    /// Bytes taken from the budget.
    cost: usize,
}

struct Member {
    key: String,
    /// JSON values, comma-separated.
    values: Vec<u8>,
    many: bool,
    attribute: bool,
}

impl Members {
    /// Adds a value under `key`; a second one makes an array. An attribute and a child of one name stay apart.
    pub(super) fn add(
        &mut self,
        st: &mut State<'_>,
        key: &str,
        attribute: bool,
        value: &[u8],
    ) -> Result<(), DecodeError> {
        let cost = key.len() + value.len() + OVERHEAD;
        st.spend(cost)?;
        self.cost += cost;
        if let Some(there) = self.index.get(key).and_then(|i| self.list.get_mut(*i)) {
            if there.attribute == attribute {
                there.values.push(b',');
                there.values.extend_from_slice(value);
                there.many = true;
                return Ok(());
            }
            if attribute {
                return self.add(st, &format!("{key}Attribute"), true, value);
            }
            // The child takes the name over; the attribute moves aside.
            let index = self.index.remove(key).unwrap_or_default();
            self.move_aside(index);
        }
        self.index.insert(key.to_owned(), self.list.len());
        self.list.push(Member {
            key: key.to_owned(),
            values: value.to_vec(),
            many: false,
            attribute,
        });
        Ok(())
    }

    fn move_aside(&mut self, index: usize) {
        let Some(member) = self.list.get_mut(index) else {
            return;
        };
        let mut key = format!("{}Attribute", member.key);
        while self.index.contains_key(&key) {
            key.push_str("Attribute");
        }
        member.key.clone_from(&key);
        self.index.insert(key, index);
    }

    /// Whether a child (not an attribute) has this name.
    pub(super) fn has_child(&self, key: &str) -> bool {
        self.index
            .get(key)
            .and_then(|i| self.list.get(*i))
            .is_some_and(|m| !m.attribute)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.index.contains_key(key)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Gives attributes another name where `taken` says that theirs is in use.
    pub(super) fn separate(&mut self, taken: impl Fn(&str) -> bool) {
        for index in 0..self.list.len() {
            let clash = self.list.get(index).is_some_and(|m| m.attribute && taken(&m.key));
            if clash && let Some(key) = self.list.get(index).map(|m| m.key.clone()) {
                self.index.remove(&key);
                self.move_aside(index);
            }
        }
    }

    /// Writes the members, each with a comma before it unless `first`; gives the budget back.
    pub(super) fn write(self, st: &mut State<'_>, first: bool, out: &mut Vec<u8>) {
        st.give_back(self.cost);
        for (i, member) in self.list.iter().enumerate() {
            if i > 0 || !first {
                out.push(b',');
            }
            text::write_json_string(&member.key, out);
            out.push(b':');
            if member.many {
                out.push(b'[');
            }
            out.extend_from_slice(&member.values);
            if member.many {
                out.push(b']');
            }
        }
    }
}

/// An attribute that no type knows: its JSON name and value.
pub(super) fn attribute(
    mirror: &str,
    name: &str,
    raw: &str,
    at: u64,
) -> Result<(String, Vec<u8>), DecodeError> {
    check_name(name, at)?;
    let name = local(name);
    let key = lower_camel(name);
    let mut plain = String::new();
    text::push_plain(raw, Raw::Attribute, at, &mut plain)?;
    let mut value = Vec::with_capacity(plain.len() + 2);
    match name {
        "Href" => text::write_json_string(&start::api_url(mirror, &plain), &mut value),
        "Rel" => text::write_json_string(&lower_camel(&plain), &mut value),
        _ => text::write_json_string(&plain, &mut value),
    }
    Ok((key, value))
}

/// Reads the attributes of an unknown element into `members`; true if the element is nil.
pub(super) fn attributes(
    st: &mut State<'_>,
    tag: &Tag<'_>,
    members: &mut Members,
) -> Result<bool, DecodeError> {
    let mut nil = false;
    let mut seen: Vec<&str> = Vec::new();
    let mut id = None;
    let mut all = Attributes::new(tag.attributes, tag.attributes_at());
    while let Some(a) = all.next()? {
        if seen.contains(&a.name) || seen.len() >= 256 {
            let what = format!("attribute {} twice, or too many", excerpt(a.name));
            return Err(DecodeError::Malformed { what, at: a.at });
        }
        seen.push(a.name);
        if start::is_namespace_machinery(a.name) {
            nil |= start::is_nil(a.name, a.value);
            continue;
        }
        let (key, value) = attribute(st.mirror, a.name, a.value, a.at)?;
        members.add(st, &key, true, &value)?;
        if local(a.name) == "UID" {
            id = urn_id(a.value);
        }
    }
    if let Some(id) = id.filter(|_| !members.has("id")) {
        let mut json = Vec::new();
        text::write_json_string(id, &mut json);
        members.add(st, "id", true, &json)?;
    }
    Ok(nil)
}

/// The last part of `urn:veeam:<Type>:<id>`.
pub(super) fn urn_id(uid: &str) -> Option<&str> {
    let rest = uid.strip_prefix("urn:veeam:")?;
    rest.split_once(':').map(|(_, id)| id).filter(|id| !id.is_empty())
}

/// Reads an unknown element, whose depth is counted, to its end; gives its JSON.
pub(super) fn element<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    mut members: Members,
    nil: bool,
    empty: bool,
) -> Result<Vec<u8>, DecodeError> {
    let mut plain = String::new();
    if !empty {
        src.skip_blanks(false);
        children(src, st, &mut members, &mut plain)?;
    }
    let mut json = Vec::new();
    if members.is_empty() {
        st.give_back(plain.len());
        if nil && plain.is_empty() {
            json.extend_from_slice(b"null");
        } else {
            text::write_json_string(&plain, &mut json);
        }
        return Ok(json);
    }
    add_text(st, &mut members, &plain)?;
    st.give_back(plain.len());
    json.push(b'{');
    members.write(st, true, &mut json);
    json.push(b'}');
    Ok(json)
}

/// Text beside children or attributes goes to `value`, blanks between elements aside.
pub(super) fn add_text(st: &mut State<'_>, members: &mut Members, plain: &str) -> Result<(), DecodeError> {
    if text::is_blank(plain) {
        return Ok(());
    }
    let mut json = Vec::new();
    text::write_json_string(super::scalar::trim(plain), &mut json);
    let key = if members.has("value") {
        "valueText"
    } else {
        "value"
    };
    members.add(st, key, false, &json)
}

fn children<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    members: &mut Members,
    plain: &mut String,
) -> Result<(), DecodeError> {
    loop {
        let at = src.position();
        let before = plain.len();
        let ((key, inner, nil), empty) = match src.next()? {
            Token::End => return Ok(()),
            Token::Start(tag) => (open(st, &tag)?, false),
            Token::Empty(tag) => (open(st, &tag)?, true),
            token => {
                text::push_token(&token, at, plain)?;
                st.spend(plain.len() - before)?;
                continue;
            }
        };
        st.enter(at)?;
        let value = element(src, st, inner, nil, empty)?;
        st.leave();
        members.add(st, &key, false, &value)?;
        src.skip_blanks(false);
    }
}

/// The start of an unknown element: its JSON name and its attributes.
pub(super) fn open(st: &mut State<'_>, tag: &Tag<'_>) -> Result<(String, Members, bool), DecodeError> {
    check_name(tag.name, tag.at)?;
    let key = lower_camel(local(tag.name));
    let mut members = Members::default();
    let nil = attributes(st, tag, &mut members)?;
    Ok((key, members, nil))
}

/// Refuses what XML does not allow as a name; names that the catalogue knows need no check.
pub(super) fn check_name(name: &str, at: u64) -> Result<(), DecodeError> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '·') || c > '\u{2FF}';
    let begins = |c: char| c.is_alphabetic() || matches!(c, '_' | ':') || c > '\u{36F}';
    if name.chars().next().is_some_and(begins) && name.chars().all(allowed) && !local(name).is_empty() {
        return Ok(());
    }
    Err(DecodeError::Malformed {
        what: format!("\"{}\" is no name", excerpt(name)),
        at,
    })
}

/// Where a scalar puts attributes and children that it should not have: `nameMore` of the object it is in.
pub(super) fn more_key(json: &str) -> String {
    format!("{json}More")
}
