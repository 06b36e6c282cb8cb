//! Documents: the root element, list roots and query results with their page, and what may stand around the root.

use super::decode::{self, local};
use super::error::{DecodeError, excerpt};
use super::frame::Frame;
use super::page::Page;
use super::source::{Source, Tag, Token};
use super::state::State;
use super::unknown::{self, Members};
use super::{AnomalyKind, scalar, start, text};
use crate::catalogue::{Field, Form, Root, Value};

/// Reads a whole document and writes its JSON.
pub(super) fn document<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    expect: Option<&[&str]>,
) -> Result<Root, DecodeError> {
    let root = root(src, st, expect)?;
    epilog(src)?;
    st.out.flush()?;
    Ok(root)
}

/// Everything up to the end of the root element.
fn root<S: Source>(src: &mut S, st: &mut State<'_>, expect: Option<&[&str]>) -> Result<Root, DecodeError> {
    loop {
        src.skip_blanks(true);
        let at = src.position();
        let (root, frame, empty) = match src.next()? {
            Token::Start(tag) => {
                let (root, frame) = open(st, &tag, expect)?;
                (root, frame, false)
            }
            Token::Empty(tag) => {
                let (root, frame) = open(st, &tag, expect)?;
                (root, frame, true)
            }
            Token::Aside => continue,
            Token::Text(t) if text::is_blank(t) => continue,
            Token::Eof => return Err(DecodeError::Empty),
            Token::Text(_) | Token::CData(_) | Token::Reference(_) | Token::End => {
                let what = "text before the first element".to_owned();
                return Err(DecodeError::Malformed { what, at });
            }
        };
        st.enter(at)?;
        match frame.ty.form {
            Form::Object | Form::Page | Form::QueryPart => decode::object(src, st, frame, empty)?,
            Form::List | Form::QueryResult => listing(src, st, frame, empty)?,
        }
        st.leave();
        return Ok(root);
    }
}

/// Nothing but blanks and comments may follow the root.
fn epilog<S: Source>(src: &mut S) -> Result<(), DecodeError> {
    loop {
        src.skip_blanks(true);
        let at = src.position();
        match src.next()? {
            Token::Eof => return Ok(()),
            Token::Aside => {}
            Token::Text(t) if text::is_blank(t) => {}
            _ => {
                let what = "content behind the document element".to_owned();
                return Err(DecodeError::Malformed { what, at });
            }
        }
    }
}

fn open(
    st: &mut State<'_>,
    tag: &Tag<'_>,
    expect: Option<&[&str]>,
) -> Result<(Root, Box<Frame>), DecodeError> {
    let name = local(tag.name);
    let Some(root) = st.catalogue.root(name) else {
        return Err(DecodeError::UnknownRoot {
            name: excerpt(name),
            at: tag.at,
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
    Ok((root, start::begin(st, st.catalogue.ty(root.ty), tag)?))
}

/// The rest of a list root or a query result: `items` and `page`.
fn listing<S: Source>(
    src: &mut S,
    st: &mut State<'_>,
    mut frame: Box<Frame>,
    empty: bool,
) -> Result<(), DecodeError> {
    frame.plain_key(",\"items\":[", &mut st.out.buf);
    let mut listing = Listing::default();
    if !empty {
        listing.children(src, st, &mut frame)?;
    }
    st.out.buf.push(b']');
    frame.plain_key(",\"page\":", &mut st.out.buf);
    listing.page.write(listing.count, st);
    decode::close(src, st, frame)
}

/// What a listing has come to so far.
#[derive(Default)]
struct Listing {
    count: u64,
    page: Page,
}

/// What a child of a listing asks for.
enum Step {
    Item(decode::Next),
    /// A list of a query result.
    Items(&'static Field),
    /// `Entities`, `Resources`.
    Part(&'static Field),
    Page,
    Skip,
    /// A list of a kind that the catalogue does not know.
    UnknownItems,
    Unknown(Box<(String, Members, bool)>),
}

impl Listing {
    /// The children of the root, or of a part of a query result.
    fn children<S: Source>(
        &mut self,
        src: &mut S,
        st: &mut State<'_>,
        frame: &mut Frame,
    ) -> Result<(), DecodeError> {
        let mut plain = String::new();
        loop {
            src.skip_blanks(plain.is_empty());
            let at = src.position();
            let (step, empty) = match src.next()? {
                Token::End => break,
                Token::Start(tag) => (self.step(st, frame, &tag)?, false),
                Token::Empty(tag) => (self.step(st, frame, &tag)?, true),
                token => {
                    let before = plain.len();
                    text::push_token(&token, at, &mut plain)?;
                    st.spend(plain.len() - before)?;
                    continue;
                }
            };
            st.enter(at)?;
            self.rest(src, st, frame, step, empty)?;
            st.leave();
            st.out.breathe()?;
        }
        if !text::is_blank(&plain) {
            st.note(AnomalyKind::UnknownName, frame.ty.name, "#text");
            let mut json = Vec::new();
            text::write_json_string(scalar::trim(&plain), &mut json);
            frame.extra().add(st, "value", false, &json)?;
        }
        st.give_back(plain.len());
        Ok(())
    }

    /// What a child's start tag asks for.
    fn step(&mut self, st: &mut State<'_>, frame: &mut Frame, tag: &Tag<'_>) -> Result<Step, DecodeError> {
        let ty = frame.ty;
        let name = local(tag.name);
        if name == "PagingInfo" {
            self.page = Page::open(st, tag)?;
            return Ok(Step::Page);
        }
        let known = ty.element(name.as_bytes()).map(|(_, field)| field);
        match (ty.form, known) {
            (Form::List, known) => {
                // The list has one kind of item; another name is an item all the same.
                match known.or_else(|| ty.fields.iter().find(|f| f.is_list())) {
                    Some(field) => decode::list_item(st, frame, field, tag, self.count).map(Step::Item),
                    None => unknown_step(st, frame, tag),
                }
            }
            (_, Some(field)) if field.name == "Links" => Ok(Step::Skip),
            (_, Some(field)) if field.is_list() => Ok(Step::Items(field)),
            (_, Some(field)) => match field.value {
                Value::Type(id) if st.catalogue.ty(id).form == Form::QueryPart => Ok(Step::Part(field)),
                _ => unknown_step(st, frame, tag),
            },
            (Form::QueryPart, None) => {
                unknown::check_name(tag.name, tag.at)?;
                st.note(AnomalyKind::UnknownName, ty.name, name);
                Ok(Step::UnknownItems)
            }
            (_, None) => unknown_step(st, frame, tag),
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
            Step::Unknown(start) => {
                let (key, members, nil) = *start;
                let json = unknown::element(src, st, members, nil, empty)?;
                frame.extra().add(st, &key, false, &json)
            }
            Step::Page | Step::Skip | Step::Items(_) | Step::Part(_) | Step::UnknownItems if empty => Ok(()),
            Step::Page => self.page.children(src, st),
            Step::Skip => Page::default().children(src, st),
            Step::Items(field) => {
                self.count = decode::items(src, st, frame, field, self.count)?;
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
            Step::UnknownItems => self.unknown_items(src, st, frame),
        }
    }

    fn unknown_items<S: Source>(
        &mut self,
        src: &mut S,
        st: &mut State<'_>,
        frame: &mut Frame,
    ) -> Result<(), DecodeError> {
        let mut plain = String::new();
        loop {
            src.skip_blanks(plain.is_empty());
            let at = src.position();
            let (start, empty) = match src.next()? {
                Token::End => break,
                Token::Start(tag) => (unknown::open(st, &tag)?, false),
                Token::Empty(tag) => (unknown::open(st, &tag)?, true),
                token => {
                    let before = plain.len();
                    text::push_token(&token, at, &mut plain)?;
                    st.spend(plain.len() - before)?;
                    continue;
                }
            };
            let (_, members, nil) = start;
            st.enter(at)?;
            let json = unknown::element(src, st, members, nil, empty)?;
            st.leave();
            if self.count > 0 {
                st.out.buf.push(b',');
            }
            st.out.buf.extend_from_slice(&json);
            self.count += 1;
            st.out.breathe()?;
        }
        if !text::is_blank(&plain) {
            let mut json = Vec::new();
            text::write_json_string(scalar::trim(&plain), &mut json);
            frame.extra().add(st, "value", false, &json)?;
        }
        st.give_back(plain.len());
        Ok(())
    }
}

fn unknown_step(st: &mut State<'_>, frame: &Frame, tag: &Tag<'_>) -> Result<Step, DecodeError> {
    st.note(AnomalyKind::UnknownName, frame.ty.name, local(tag.name));
    unknown::open(st, tag).map(|start| Step::Unknown(Box::new(start)))
}
