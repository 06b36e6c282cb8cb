//! Documents: the root element, list roots and query results with their page, and what may stand around the root.

use quick_xml::events::{BytesStart, Event};

use super::attributes::Attributes;
use super::decode::{self, Frame, State, aside, local};
use super::error::{DecodeError, excerpt};
use super::scalar;
use super::source::Source;
use super::text::{self, Raw};
use super::unknown::{self, Members};
use super::{AnomalyKind, scalar::trim};
use crate::catalogue::{Field, Form, Root, Value};

/// Reads a whole document and writes its JSON.
pub(super) fn document<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    expect: Option<&[&str]>,
) -> Result<Root, DecodeError> {
    let root = prolog(src, st, expect)?;
    epilog(src)?;
    st.out.flush()?;
    Ok(root)
}

/// Everything up to the end of the root element.
fn prolog<S: Source>(src: &mut S, st: &mut State<'_>, expect: Option<&[&str]>) -> Result<Root, DecodeError> {
    let mut first = true;
    src.skip_blanks(true);
    loop {
        let at = src.position();
        match src.next()? {
            Event::Decl(decl) if first => {
                let encoding = decl.encoding().and_then(Result::ok);
                check_encoding(encoding.as_deref(), at)?;
            }
            Event::Start(tag) => {
                let (root, frame) = open_root(st, &tag, at, expect)?;
                st.enter(at)?;
                root_body(src, st, frame, root, false)?;
                st.leave();
                return Ok(root);
            }
            Event::Empty(tag) => {
                let (root, frame) = open_root(st, &tag, at, expect)?;
                root_body(src, st, frame, root, true)?;
                return Ok(root);
            }
            Event::Text(t) if text::is_blank(&t) => {}
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                return Err(DecodeError::Malformed {
                    what: "text before the first element".to_owned(),
                    at,
                });
            }
            Event::Eof => return Err(DecodeError::Empty),
            other => aside(&other, at)?,
        }
        first = false;
    }
}

/// Nothing but blanks and comments may follow the root.
fn epilog<S: Source>(src: &mut S) -> Result<(), DecodeError> {
    loop {
        src.skip_blanks(true);
        let at = src.position();
        match src.next()? {
            Event::Eof => return Ok(()),
            Event::Text(t) if text::is_blank(&t) => {}
            other => aside(&other, at)?,
        }
    }
}

/// .NET writes `utf-16` into documents that it then sends as UTF-8, so that name says nothing.
fn check_encoding(name: Option<&str>, at: u64) -> Result<(), DecodeError> {
    let fine = |n: &str| {
        [
            "utf-8", "utf8", "us-ascii", "ascii", "utf-16", "utf-16le", "utf-16be",
        ]
        .iter()
        .any(|known| n.eq_ignore_ascii_case(known))
    };
    match name {
        Some(name) if !fine(name) => {
            let encoding = format!("UTF-8 but {}, which is not read", excerpt(name));
            Err(DecodeError::Encoding { encoding, at })
        }
        _ => Ok(()),
    }
}

fn open_root(
    st: &mut State<'_>,
    tag: &BytesStart<'_>,
    at: u64,
    expect: Option<&[&str]>,
) -> Result<(Root, Frame), DecodeError> {
    let name = local(tag.name().into_inner());
    let Some(root) = st.catalogue.root(name) else {
        return Err(DecodeError::UnknownRoot {
            name: excerpt(name),
            at,
        });
    };
    if let Some(expected) = expect
        && !expected.contains(&root.name)
    {
        return Err(DecodeError::UnexpectedRoot {
            found: root.name,
            expected: expected.join(" or "),
        });
    }
    Ok((root, decode::begin(st, st.catalogue.ty(root.ty), tag, at)?))
}

fn root_body<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    mut frame: Frame,
    root: Root,
    empty: bool,
) -> Result<(), DecodeError> {
    match st.catalogue.ty(root.ty).form {
        Form::Object | Form::Page | Form::QueryPart => decode::whole(src, st, frame, empty),
        Form::List | Form::QueryResult => {
            frame.key(",\"items\":", &mut st.out.buf);
            st.out.buf.push(b'[');
            let mut list = Listing::default();
            if !empty {
                list.children(src, st, &mut frame)?;
            }
            st.out.buf.push(b']');
            frame.key(",\"page\":", &mut st.out.buf);
            list.page.write(list.count, st);
            if !decode::write_extra(st, &mut frame) {
                return Err(DecodeError::LateClash {
                    ty: frame.ty.name,
                    at: src.position(),
                });
            }
            st.out.buf.push(b'}');
            Ok(())
        }
    }
}

/// `pagingInfo` as a field of another type.
pub(super) fn page_field<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    mut page: Page,
    empty: bool,
) -> Result<(), DecodeError> {
    if !empty {
        page.children(src, st)?;
    }
    page.write(0, st);
    Ok(())
}

/// A list root or a query result on its way to `items` and `page`.
#[derive(Default)]
struct Listing {
    count: u64,
    page: Page,
}

impl Listing {
    /// The children of the root, or of a part of a query result.
    fn children<S: Source>(
        &mut self,
        src: &mut S,
        st: &mut State<'_>,
        frame: &mut Frame,
    ) -> Result<(), DecodeError> {
        let ty = frame.ty;
        loop {
            src.skip_blanks(true);
            let at = src.position();
            let event = src.next()?;
            let empty = matches!(event, Event::Empty(_));
            match event {
                Event::End(_) => return Ok(()),
                Event::Start(tag) | Event::Empty(tag) => {
                    let step = self.step(st, frame, &tag, at)?;
                    st.enter(at)?;
                    self.rest(src, st, frame, step, empty)?;
                    st.leave();
                    st.out.breathe()?;
                }
                Event::Text(t) if text::is_blank(&t) => {}
                event @ (Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) => {
                    st.note(AnomalyKind::UnknownName, ty.name, "#text");
                    let plain = decode::plain_of(&event, at)?;
                    let mut json = Vec::new();
                    text::write_json_string(trim(&plain), &mut json);
                    frame.extra().add(st, "value", false, &json)?;
                }
                other => aside(&other, at)?,
            }
        }
    }

    /// What a child's start tag asks for.
    fn step(
        &mut self,
        st: &mut State<'_>,
        frame: &mut Frame,
        tag: &BytesStart<'_>,
        at: u64,
    ) -> Result<Step, DecodeError> {
        let name = tag.name().into_inner();
        let ty = frame.ty;
        let known = ty
            .element(name.as_bytes())
            .or_else(|| ty.element(local(name).as_bytes()));
        if local(name) == "PagingInfo" {
            self.page = Page::default();
            self.page.attributes(st, tag, at)?;
            return Ok(Step::Page);
        }
        match (ty.form, known) {
            (Form::List, known) => {
                // The list has one kind of item; another name is an item all the same.
                let field = known
                    .map(|(_, f)| f)
                    .or_else(|| ty.fields.iter().find(|f| f.is_list()));
                match field {
                    Some(field) => decode::list_item(st, frame, field, tag, at, self.count).map(Step::Item),
                    None => unknown_step(st, frame, tag, at),
                }
            }
            (_, Some((_, field))) if field.name == "Links" => Ok(Step::Skip),
            (_, Some((_, field))) if field.is_list() => Ok(Step::Items(field)),
            (_, Some((_, field))) => match field.value {
                Value::Type(id) if st.catalogue.ty(id).form == Form::QueryPart => Ok(Step::Part(field)),
                _ => unknown_step(st, frame, tag, at),
            },
            (Form::QueryPart, None) => {
                // A list of a kind that the catalogue does not know: its children are items.
                unknown::check_name(name, at)?;
                st.note(AnomalyKind::UnknownName, ty.name, local(name));
                Ok(Step::UnknownItems)
            }
            (_, None) => unknown_step(st, frame, tag, at),
        }
    }

    fn rest<S: Source>(
        &mut self,
        src: &mut S,
        st: &mut State<'_>,
        frame: &mut Frame,
        step: Step,
        empty: bool,
    ) -> Result<(), DecodeError> {
        match step {
            Step::Item(next) => {
                self.count += 1;
                decode::rest_of_item(src, st, frame, next, empty)
            }
            Step::Page if empty => Ok(()),
            Step::Page => self.page.children(src, st),
            Step::Skip if empty => Ok(()),
            Step::Skip => skip(src, st),
            Step::Items(_) | Step::Part(_) | Step::UnknownItems if empty => Ok(()),
            Step::Items(field) => {
                self.count = decode::items_from(src, st, frame, field, self.count)?;
                Ok(())
            }
            Step::Part(field) => {
                let Value::Type(id) = field.value else {
                    return Ok(());
                };
                // The part has no JSON of its own: its lists write into `items`, its oddities into the root.
                let outer = std::mem::replace(&mut frame.ty, st.catalogue.ty(id));
                let done = self.children(src, st, frame);
                frame.ty = outer;
                done
            }
            Step::UnknownItems => self.unknown_items(src, st),
            Step::Unknown { key, members, nil } => {
                let json = unknown::element(src, st, members, nil, empty)?;
                frame.extra().add(st, &key, false, &json)
            }
        }
    }

    fn unknown_items<S: Source>(&mut self, src: &mut S, st: &mut State<'_>) -> Result<(), DecodeError> {
        loop {
            src.skip_blanks(true);
            let at = src.position();
            let event = src.next()?;
            let empty = matches!(event, Event::Empty(_));
            match event {
                Event::End(_) => return Ok(()),
                Event::Start(tag) | Event::Empty(tag) => {
                    let (_, members, nil) = unknown::open(st, &tag, at)?;
                    st.enter(at)?;
                    let json = unknown::element(src, st, members, nil, empty)?;
                    st.leave();
                    self.write_item(&json, st)?;
                }
                Event::Text(t) if text::is_blank(&t) => {}
                event @ (Event::Text(_) | Event::CData(_) | Event::GeneralRef(_)) => {
                    let plain = decode::plain_of(&event, at)?;
                    let mut json = Vec::new();
                    text::write_json_string(trim(&plain), &mut json);
                    self.write_item(&json, st)?;
                }
                other => aside(&other, at)?,
            }
        }
    }

    fn write_item(&mut self, json: &[u8], st: &mut State<'_>) -> Result<(), DecodeError> {
        if self.count > 0 {
            st.out.buf.push(b',');
        }
        st.out.buf.extend_from_slice(json);
        self.count += 1;
        st.out.breathe()
    }
}

enum Step {
    Item(decode::Next),
    Items(&'static Field),
    Part(&'static Field),
    Page,
    Skip,
    UnknownItems,
    Unknown {
        key: String,
        members: Members,
        nil: bool,
    },
}

fn unknown_step(
    st: &mut State<'_>,
    frame: &mut Frame,
    tag: &BytesStart<'_>,
    at: u64,
) -> Result<Step, DecodeError> {
    st.note(
        AnomalyKind::UnknownName,
        frame.ty.name,
        local(tag.name().into_inner()),
    );
    let (key, members, nil) = unknown::open(st, tag, at)?;
    Ok(Step::Unknown { key, members, nil })
}

/// Reads over an element whose start is read; well-formedness and depth still count.
fn skip<S: Source>(src: &mut S, st: &mut State<'_>) -> Result<(), DecodeError> {
    let mut open = 1_u32;
    loop {
        src.skip_blanks(true);
        let at = src.position();
        match src.next()? {
            Event::Start(_) => {
                st.enter(at)?;
                open += 1;
            }
            Event::End(_) => {
                open -= 1;
                if open == 0 {
                    return Ok(());
                }
                st.leave();
            }
            Event::Empty(_) | Event::Text(_) | Event::CData(_) => {}
            Event::GeneralRef(r) => {
                text::reference(&r, at)?;
            }
            other => aside(&other, at)?,
        }
    }
}

/// What survives of `PagingInfo`.
#[derive(Default)]
pub(super) struct Page {
    size: Option<Vec<u8>>,
    number: Option<Vec<u8>>,
    total: Option<Vec<u8>>,
    next: Option<String>,
    previous: Option<String>,
}

impl Page {
    pub(super) fn attributes(
        &mut self,
        st: &mut State<'_>,
        tag: &BytesStart<'_>,
        at: u64,
    ) -> Result<(), DecodeError> {
        let mut all = Attributes::new(
            tag.attributes_raw(),
            at + 1 + tag.name().into_inner().len() as u64,
        );
        while let Some(a) = all.next()? {
            let slot = match local(a.name) {
                "PageSize" => &mut self.size,
                "PageNum" => &mut self.number,
                "PagesCount" => &mut self.total,
                _ => continue,
            };
            let mut plain = String::new();
            text::push_plain(a.value, Raw::Attribute, a.at, &mut plain)?;
            let mut json = Vec::new();
            if scalar::write_integer(trim(&plain), &mut json) {
                *slot = Some(json);
            } else {
                st.note(AnomalyKind::UnparsedValue, "PagingInfoType", local(a.name));
            }
        }
        Ok(())
    }

    /// The links; everything else in it is read over.
    fn children<S: Source>(&mut self, src: &mut S, st: &mut State<'_>) -> Result<(), DecodeError> {
        let mut open = 1_u32;
        loop {
            src.skip_blanks(true);
            let at = src.position();
            match src.next()? {
                Event::Start(tag) => {
                    self.link(&tag, at)?;
                    st.enter(at)?;
                    open += 1;
                }
                Event::Empty(tag) => self.link(&tag, at)?,
                Event::End(_) => {
                    open -= 1;
                    if open == 0 {
                        return Ok(());
                    }
                    st.leave();
                }
                Event::Text(_) | Event::CData(_) => {}
                Event::GeneralRef(r) => {
                    text::reference(&r, at)?;
                }
                other => aside(&other, at)?,
            }
        }
    }

    fn link(&mut self, tag: &BytesStart<'_>, at: u64) -> Result<(), DecodeError> {
        let (mut rel, mut href) = (String::new(), None);
        let mut all = Attributes::new(
            tag.attributes_raw(),
            at + 1 + tag.name().into_inner().len() as u64,
        );
        while let Some(a) = all.next()? {
            let mut plain = String::new();
            text::push_plain(a.value, Raw::Attribute, a.at, &mut plain)?;
            match local(a.name) {
                "Rel" => rel = plain,
                "Href" => href = Some(decode::api_url(&plain)),
                _ => {}
            }
        }
        if rel.eq_ignore_ascii_case("next") {
            self.next = href;
        } else if rel.eq_ignore_ascii_case("previous") {
            self.previous = href;
        }
        Ok(())
    }

    /// Writes the page; `count` is its size where EM gave none.
    fn write(self, count: u64, st: &mut State<'_>) {
        let out = &mut st.out.buf;
        out.extend_from_slice(b"{\"size\":");
        out.extend_from_slice(&self.size.unwrap_or_else(|| count.to_string().into_bytes()));
        for (key, url) in [("next", self.next), ("previous", self.previous)] {
            out.extend_from_slice(format!(",\"{key}\":").as_bytes());
            match url {
                Some(url) => text::write_json_string(&url, out),
                None => out.extend_from_slice(b"null"),
            }
        }
        for (key, number) in [("number", self.number), ("total", self.total)] {
            if let Some(number) = number {
                out.extend_from_slice(format!(",\"{key}\":").as_bytes());
                out.extend_from_slice(&number);
            }
        }
        out.push(b'}');
    }
}
