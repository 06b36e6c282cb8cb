//! The page of a query, row by row, where it cannot be read as a whole.
//!
//! The ends of the rows are found in the bytes by the rows' name alone, so that whatever is wrong within a row ends with
//! it. What is around the rows must still be a whole document: a page that was cut lacks rows, and is refused.

use std::ops::Range;

use memchr::{memchr, memmem, memrchr};

use super::error::DecodeError;
use super::scalar::{Moment, moment, trim};
use super::{Anomalies, decode_expecting, decode_into};

/// Ids remembered of one damaged row; a row has one, and only one that was run together with others has more.
const MOST_IDS: usize = 100;

/// Characters of a UUID with its hyphens.
const UUID: usize = 36;

/// A page of a query: the rows that could be read, and what is known of the others.
#[derive(Debug)]
pub struct Rows {
    /// The JSON of the page, with the rows that could be read in their order.
    pub json: Vec<u8>,
    pub anomalies: Anomalies,
    /// In their order.
    pub damaged: Vec<DamagedRow>,
}

/// A row that is not what EM's schema and XML allow.
#[derive(Debug, Clone)]
pub struct DamagedRow {
    /// The UUIDs that it names as its own, as written; none where that part is damaged too.
    pub ids: Vec<String>,
    pub reason: DecodeError,
    /// The first `CreationTimeUTC` in it, where that can be read.
    pub created: Option<jiff::Timestamp>,
    /// Whether it is among the rows all the same, with U+FFFD in place of what no document may hold.
    pub repaired: bool,
}

/// What `xml` holds, where its rows are elements called `row` in a list called `row` with an `s`. `refused`: why it could
/// not be read as a whole.
pub(super) fn one_by_one(xml: &[u8], row: &str, refused: DecodeError) -> Result<Rows, DecodeError> {
    let Some(ranges) = ranges(xml, row) else {
        return Err(refused);
    };
    let mut frame = Vec::new();
    let mut done = 0;
    for range in &ranges {
        frame.extend_from_slice(xml.get(done..range.start).unwrap_or_default());
        done = range.end;
    }
    frame.extend_from_slice(xml.get(done..).unwrap_or_default());
    let frame = decode_expecting(&frame, &["QueryResult"])?;
    const ITEMS: &[u8] = b"\"items\":[]";
    let Some(at) = memmem::find(&frame.json, ITEMS) else {
        return Err(refused);
    };
    let at = at + ITEMS.len() - 1;
    let mut json = Vec::with_capacity(xml.len());
    json.extend_from_slice(frame.json.get(..at).unwrap_or_default());
    let (mut anomalies, mut damaged) = (frame.anomalies, Vec::new());
    let (mut memory, mut first) = (Vec::new(), true);
    for range in ranges {
        let bytes = xml.get(range).unwrap_or_default();
        let read = match alone(bytes, row, std::mem::take(&mut memory)) {
            Ok(read) => Some(read),
            Err(reason) => {
                let repaired = repaired(bytes).and_then(|text| alone(text.as_bytes(), row, Vec::new()).ok());
                damaged.push(DamagedRow {
                    ids: ids(bytes, row),
                    reason,
                    created: created(bytes),
                    repaired: repaired.is_some(),
                });
                repaired
            }
        };
        let Some((object, noted)) = read else { continue };
        if !std::mem::replace(&mut first, false) {
            json.push(b',');
        }
        json.extend_from_slice(&object);
        anomalies.add(noted);
        memory = object;
    }
    json.extend_from_slice(frame.json.get(at..).unwrap_or_default());
    Ok(Rows {
        json,
        anomalies,
        damaged,
    })
}

/// Where the rows are, where each is whole, nothing but blanks is between them, and none is elsewhere; none where the document
/// is made in any other way, or is not in UTF-8. Without some of them it is still the page of the others.
pub(super) fn whole(xml: &[u8], row: &str) -> Option<Vec<Range<usize>>> {
    if xml.contains(&0) {
        return None;
    }
    let ranges = ranges(xml, row)?;
    let mut edge = ranges.first().map_or(0, |first| first.start);
    for range in &ranges {
        let bytes = xml.get(range.clone())?;
        let last = memrchr(b'<', bytes)?;
        let (first, end) = (Name::at(bytes, 0), Name::at(bytes, last));
        let ends = bytes.ends_with(b">")
            && if last == 0 {
                bytes.ends_with(b"/>")
            } else {
                end.closes
            };
        let begins = bytes.starts_with(b"<") && !first.closes;
        let is_apart = xml.get(edge..range.start)?.trim_ascii().is_empty();
        if !(begins && ends && is_apart && first.is(row.as_bytes()) && end.is(row.as_bytes())) {
            return None;
        }
        edge = range.end;
    }
    let mut at = edge;
    while let Some(next) = memchr(b'<', xml.get(at..)?) {
        at += next;
        if Name::at(xml, at).is(row.as_bytes()) {
            return None;
        }
        at += 1;
    }
    Some(ranges)
}

/// One row as a document of its own.
fn alone(bytes: &[u8], row: &str, memory: Vec<u8>) -> Result<(Vec<u8>, Anomalies), DecodeError> {
    let decoded = decode_into(bytes, memory)?;
    if decoded.root == row {
        Ok((decoded.json, decoded.anomalies))
    } else {
        Err(DecodeError::UnexpectedRoot {
            found: decoded.root,
            expected: row.to_owned(),
        })
    }
}

/// A document without what none may hold: U+FFFD replaces control characters and for bytes that are not UTF-8. `None`
/// where there is nothing of the kind.
pub(super) fn repaired(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let illegal = |c: char| c < ' ' && !matches!(c, '\t' | '\n' | '\r');
    let wrong = matches!(text, std::borrow::Cow::Owned(_)) || text.contains(illegal);
    wrong.then(|| text.replace(illegal, "\u{FFFD}"))
}

/// Where the rows are, and whatever else is between them; `None` where the list has no end.
fn ranges(xml: &[u8], row: &str) -> Option<Vec<Range<usize>>> {
    let list = format!("{row}s");
    let mut at = list_begin(xml, list.as_bytes())?;
    let mut found = Vec::new();
    // The end of the last row, and the beginning of the one that has no end yet.
    let (mut edge, mut open) = (at, None);
    loop {
        at += memchr(b'<', xml.get(at..)?)?;
        if let Some(end) = aside(xml, at) {
            at = end;
            continue;
        }
        let tag = Name::at(xml, at);
        if tag.is(row.as_bytes()) {
            if tag.closes {
                let end = end_of_end_tag(xml, tag.end)?;
                found.push(open.take().unwrap_or(edge)..end);
                (edge, at) = (end, end);
                continue;
            }
            match open.take() {
                Some(start) => found.push(start..at),
                None if is_noise(xml, edge..at) => found.push(edge..at),
                None => {}
            }
            edge = at;
            match end_of_empty(xml, tag.end) {
                Some(end) => {
                    found.push(at..end);
                    edge = end;
                }
                None => open = Some(at),
            }
        } else if tag.closes && tag.is(list.as_bytes()) {
            match open {
                Some(start) => found.push(start..at),
                None if is_noise(xml, edge..at) => found.push(edge..at),
                None => {}
            }
            return Some(found);
        }
        at = tag.end;
    }
}

/// Behind the start tag of the list.
fn list_begin(xml: &[u8], list: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr(b'<', xml.get(at..)?)?;
        if let Some(end) = aside(xml, at) {
            at = end;
            continue;
        }
        let tag = Name::at(xml, at);
        if tag.is(list) && !tag.closes {
            let end = at + memchr(b'>', xml.get(at..)?)?;
            return (xml.get(end - 1) != Some(&b'/')).then_some(end + 1);
        }
        at = tag.end;
    }
}

/// The end of a comment or a CDATA section that begins here and has one.
fn aside(xml: &[u8], at: usize) -> Option<usize> {
    let rest = xml.get(at..)?;
    [(&b"<!--"[..], &b"-->"[..]), (b"<![CDATA[", b"]]>")]
        .into_iter()
        .find(|(begin, _)| rest.starts_with(begin))
        .and_then(|(begin, end)| {
            let behind = rest.get(begin.len()..)?;
            Some(at + begin.len() + memmem::find(behind, end)? + end.len())
        })
}

/// The name in a tag.
struct Name<'a> {
    local: &'a [u8],
    closes: bool,
    end: usize,
}

impl<'a> Name<'a> {
    /// The name of the tag whose `<` is here.
    fn at(xml: &'a [u8], at: usize) -> Self {
        let closes = xml.get(at + 1) == Some(&b'/');
        let begin = at + 1 + usize::from(closes);
        let rest = xml.get(begin..).unwrap_or_default();
        let ends = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>' | b'<');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let name = rest.get(..length).unwrap_or_default();
        let local = name.iter().position(|b| *b == b':').map_or(0, |colon| colon + 1);
        Self {
            local: name.get(local..).unwrap_or_default(),
            closes,
            end: begin + length,
        }
    }

    fn is(&self, name: &[u8]) -> bool {
        self.local == name
    }
}

/// Behind an end tag, `at` being behind its name; where it has no end itself, before the next tag.
fn end_of_end_tag(xml: &[u8], at: usize) -> Option<usize> {
    let rest = xml.get(at..)?;
    let next = rest.iter().position(|b| matches!(b, b'>' | b'<'))?;
    Some(at + next + usize::from(rest.get(next) == Some(&b'>')))
}

/// Behind a tag that is an element without content, `at` being behind its name.
fn end_of_empty(xml: &[u8], at: usize) -> Option<usize> {
    let mut quote = None;
    let mut before = 0;
    for (place, byte) in xml.get(at..)?.iter().copied().enumerate() {
        match (quote, byte) {
            // No value may hold it: the tag is broken.
            (_, b'<') => return None,
            (Some(open), _) => quote = Some(open).filter(|open| *open != byte),
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return (before == b'/').then_some(at + place + 1),
            (None, _) => {}
        }
        before = byte;
    }
    None
}

/// Whether there is more between rows than blanks and comments.
fn is_noise(xml: &[u8], range: Range<usize>) -> bool {
    let between = xml.get(range).unwrap_or_default().trim_ascii();
    !between.is_empty() && !between.starts_with(b"<!--") && !between.starts_with(b"<?")
}

/// The ids that a row names as its own: those of its URNs, or the one in its address.
fn ids(bytes: &[u8], row: &str) -> Vec<String> {
    let urn = format!("urn:veeam:{row}:");
    let mut ids: Vec<String> = Vec::new();
    for at in memmem::find_iter(bytes, urn.as_bytes()) {
        let text = bytes.get(at + urn.len()..).unwrap_or_default();
        if let Some(id) = uuid(text)
            && !ids.contains(&id)
            && ids.len() < MOST_IDS
        {
            ids.push(id);
        }
    }
    if ids.is_empty() {
        ids.extend(address(bytes));
    }
    ids
}

/// When EM made what the row is about.
fn created(bytes: &[u8]) -> Option<jiff::Timestamp> {
    const TAG: &[u8] = b"<CreationTimeUTC>";
    let text = bytes.get(memmem::find(bytes, TAG)? + TAG.len()..)?;
    let text = std::str::from_utf8(text.get(..memchr(b'<', text)?)?).ok()?;
    match moment(trim(text))? {
        Moment::At(at) => Some(at),
        Moment::Never => None,
    }
}

/// The UUID in the first `Href` of the first tag.
fn address(bytes: &[u8]) -> Option<String> {
    const HREF: &[u8] = b" Href=\"";
    let begin = bytes.iter().position(|b| *b == b'<')? + 1;
    let rest = bytes.get(begin..)?;
    let tag = rest.get(..memchr(b'<', rest).unwrap_or(rest.len()))?;
    let value = tag.get(memmem::find(tag, HREF)? + HREF.len()..)?;
    let value = value.get(..memchr(b'"', value)?)?;
    (0..value.len()).rev().find_map(|at| uuid(value.get(at..)?))
}

/// The UUID at the beginning of a text.
fn uuid(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text.get(..UUID)?).ok()?;
    let fits = text.bytes().enumerate().all(|(place, byte)| {
        if matches!(place, 8 | 13 | 18 | 23) {
            byte == b'-'
        } else {
            byte.is_ascii_hexdigit()
        }
    });
    fits.then(|| text.to_owned())
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
