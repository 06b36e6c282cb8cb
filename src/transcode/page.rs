//! `PagingInfo`: of it only size, number, total, next and previous survive (docs/behaviour.md#xml-to-json).

use super::attributes::Attributes;
use super::decode::local;
use super::error::DecodeError;
use super::source::{Source, Tag, Token};
use super::start::{api_url, twice};
use super::state::State;
use super::text::{self, Raw};
use super::{AnomalyKind, scalar};

/// A page on its way to JSON.
#[derive(Default)]
pub(super) struct Page {
    size: Option<Vec<u8>>,
    number: Option<Vec<u8>>,
    total: Option<Vec<u8>>,
    next: Option<String>,
    previous: Option<String>,
}

impl Page {
    /// Reads the start tag.
    pub(super) fn open(st: &mut State<'_>, tag: &Tag<'_>) -> Result<Self, DecodeError> {
        let mut page = Self::default();
        let mut all = Attributes::new(tag.attributes, tag.attributes_at());
        while let Some(a) = all.next()? {
            let slot = match local(a.name) {
                "PageSize" => &mut page.size,
                "PageNum" => &mut page.number,
                "PagesCount" => &mut page.total,
                _ => continue,
            };
            if slot.is_some() {
                return Err(twice(a.name, a.at));
            }
            let mut plain = String::new();
            text::push_plain(a.value, Raw::Attribute, a.at, &mut plain)?;
            let mut json = Vec::new();
            if scalar::write_integer(scalar::trim(&plain), &mut json) {
                *slot = Some(json);
            } else {
                st.note(AnomalyKind::UnparsedValue, "PagingInfoType", local(a.name));
            }
        }
        Ok(page)
    }

    /// Reads to the end tag: the links, everything else in it is read over.
    pub(super) fn children<S: Source>(&mut self, src: &mut S, st: &mut State<'_>) -> Result<(), DecodeError> {
        let mut open = 1_u32;
        loop {
            src.skip_blanks(true);
            let at = src.position();
            match src.next()? {
                Token::Start(tag) => {
                    self.link(st.mirror, &tag)?;
                    st.enter(at)?;
                    open += 1;
                }
                Token::Empty(tag) => self.link(st.mirror, &tag)?,
                Token::End => {
                    open -= 1;
                    if open == 0 {
                        return Ok(());
                    }
                    st.leave();
                }
                token => text::push_token(&token, at, &mut String::new())?,
            }
        }
    }

    fn link(&mut self, mirror: &str, tag: &Tag<'_>) -> Result<(), DecodeError> {
        let (mut rel, mut href) = (String::new(), None);
        let mut all = Attributes::new(tag.attributes, tag.attributes_at());
        while let Some(a) = all.next()? {
            let mut plain = String::new();
            text::push_plain(a.value, Raw::Attribute, a.at, &mut plain)?;
            match local(a.name) {
                "Rel" => rel = plain,
                "Href" => href = Some(api_url(mirror, &plain)),
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

    /// The rest of `PagingInfo` where it is a field of another type than a query result.
    pub(super) fn finish<S: Source>(
        mut self,
        src: &mut S,
        st: &mut State<'_>,
        empty: bool,
    ) -> Result<(), DecodeError> {
        if !empty {
            self.children(src, st)?;
        }
        self.write(0, st);
        Ok(())
    }

    /// Writes the page; `count` is its size where EM gave none.
    pub(super) fn write(self, count: u64, st: &mut State<'_>) {
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
