//! One document from a stream to a stream: the transcoder as `emgate convert` offers it.
//!
//! XML becomes JSON in constant memory. The way back is constant for lists and query results, whose items pass one by
//! one; any other document is held while its members are put in EM's order.

use std::io::{BufRead, Write};

use super::cut::Values;
use super::encode::{self, Encoder, Mode, Read, Step};
use super::error::{DecodeError, EncodeError, FieldFault, FieldFaultKind, excerpt};
use super::json::{self, BOM, Json, Reader, Token};
use super::listing::{self, Home};
use super::pretty::Pretty;
use super::xml::Xml;
use super::{Anomalies, decode_stream};
use crate::catalogue::{Form, NAMESPACE, Root, TypeDef, catalogue};
use crate::text::json_pointer;

/// What to make of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Json,
    Xml,
}

/// How to convert.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// None: the other format than the input's, which its first byte shows.
    pub to: Option<Target>,
    /// Type or document element of JSON input; none: its member `type` says so. XML names itself.
    pub root: Option<&'a str>,
    /// No indentation.
    pub compact: bool,
}

/// What was converted.
#[derive(Debug)]
pub struct Converted {
    pub to: Target,
    /// The document element.
    pub root: &'static str,
    /// What the catalogue did not know; empty on the way to XML.
    pub anomalies: Anomalies,
}

/// Why a document was not converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("the JSON does not say what it is: name its type")]
    NoRoot,
}

/// Converts one document; the output ends with a line end.
///
/// # Errors
/// As [`super::decode`] and [`super::encode`]. Of a refused document part may be written already.
pub fn convert(
    mut input: impl BufRead,
    mut output: impl Write,
    options: Options<'_>,
) -> Result<Converted, ConvertError> {
    let to = match options.to {
        Some(to) => to,
        None => guess(&mut input)?,
    };
    match to {
        Target::Json => {
            let (root, anomalies) = if options.compact {
                decode_stream(input, &mut output)?
            } else {
                let mut pretty = Pretty::new(&mut output);
                let done = decode_stream(input, &mut pretty)?;
                pretty.flush().map_err(|e| DecodeError::Io(e.to_string()))?;
                done
            };
            finish(&mut output).map_err(|e| DecodeError::Io(e.to_string()))?;
            Ok(Converted { to, root, anomalies })
        }
        Target::Xml => {
            let root = to_xml(input, &mut output, options)?;
            finish(&mut output).map_err(|e| EncodeError::Io(e.to_string()))?;
            Ok(Converted {
                to,
                root,
                anomalies: Anomalies::default(),
            })
        }
    }
}

fn finish(output: &mut impl Write) -> std::io::Result<()> {
    output.write_all(b"\n")?;
    output.flush()
}

/// JSON begins with a brace (a bracket at most), everything else is read as XML.
fn guess(input: &mut impl BufRead) -> Result<Target, ConvertError> {
    let start = input.fill_buf().map_err(|e| DecodeError::Io(e.to_string()))?;
    let start = start.strip_prefix(BOM).unwrap_or(start);
    let first = start.iter().find(|b| !b.is_ascii_whitespace());
    Ok(if matches!(first, Some(b'{' | b'[')) {
        Target::Xml
    } else {
        Target::Json
    })
}

fn to_xml(
    mut input: impl BufRead,
    output: &mut impl Write,
    options: Options<'_>,
) -> Result<&'static str, ConvertError> {
    let find = |name: &str| {
        catalogue()
            .root_or_type(name)
            .ok_or_else(|| EncodeError::UnknownRoot(excerpt(name)))
    };
    let io = |e: std::io::Error| EncodeError::Io(e.to_string());
    let root = options.root.map(find).transpose()?;
    if let Some(root) = root
        && matches!(catalogue().ty(root.ty).form, Form::List | Form::QueryResult)
    {
        stream(input, output, root, !options.compact)?;
        return Ok(root.name);
    }
    let mut text = Vec::new();
    input.read_to_end(&mut text).map_err(io)?;
    let root = if let Some(root) = root {
        root
    } else {
        let value = json::parse(&text)?;
        find(
            value
                .get("type")
                .and_then(Json::as_str)
                .ok_or(ConvertError::NoRoot)?,
        )?
    };
    let xml = encode::document(
        catalogue(),
        &text,
        super::MIRROR,
        root,
        Mode::Document,
        !options.compact,
        None,
    )?;
    output.write_all(&xml).map_err(io)?;
    Ok(root.name)
}

/// Encodes a list or query result item by item.
fn stream(input: impl BufRead, output: &mut impl Write, root: Root, indent: bool) -> Result<(), EncodeError> {
    let mut json = Values::new(input)?;
    let mut xml = Xml::new(indent, 0);
    xml.start(root.name);
    xml.attribute("xmlns", NAMESPACE);
    let ty = catalogue().ty(root.ty);
    let mut items = Items {
        root,
        ty,
        xml,
        output,
        open: None,
        count: 0,
    };
    if !json.take(b'{')? {
        // It is read for what is wrong with it alone.
        items.encode(json.value()?, Vec::new(), |e, _, token| {
            e.refuse(token, FieldFaultKind::Type("an object"))
        })?;
    }
    let (mut seen, mut page, mut first) = (false, None, true);
    while !json.take(b'}')? {
        if !std::mem::take(&mut first) && !json.take(b',')? {
            return Err(json.error("neither , nor } in an object"));
        }
        let name = name(&mut json)?;
        let what = match name.as_str() {
            "items" if !seen => {
                seen = true;
                items.all(&mut json)?;
                continue;
            }
            "page" if page.is_none() => {
                let (text, at) = json.value()?;
                page = Some((text.to_owned(), at));
                continue;
            }
            "items" | "page" => FieldFaultKind::Twice,
            _ => FieldFaultKind::Unknown(ty.name),
        };
        return Err(fault(&name, what));
    }
    if !seen {
        return Err(fault("items", FieldFaultKind::Missing));
    }
    if json.peek()?.is_some() {
        return Err(json.error("text behind the value"));
    }
    items.end(page.as_ref())
}

/// The name of a member and the colon behind it.
fn name(json: &mut Values<impl BufRead>) -> Result<String, EncodeError> {
    if json.peek()? != Some(b'"') {
        return Err(json.error("no name where a member was due"));
    }
    let (text, at) = json.value()?;
    let name = json::parse(text).map_err(|e| e.behind(at))?;
    let name = name.as_str().unwrap_or_default().to_owned();
    if json.take(b':')? {
        Ok(name)
    } else {
        Err(json.error("no : behind a name"))
    }
}

fn fault(member: &str, what: FieldFaultKind) -> EncodeError {
    let pointer = json_pointer("", member);
    EncodeError::Invalid(vec![FieldFault { pointer, what }])
}

/// Where the items go, one at a time.
struct Items<'o, W> {
    root: Root,
    ty: &'static TypeDef,
    xml: Xml,
    output: &'o mut W,
    /// The list of a query result that the last item is in.
    open: Option<Home>,
    count: usize,
}

impl<W: Write> Items<'_, W> {
    /// Encodes one value, which begins with that byte of the input, and writes what became of it.
    fn encode(
        &mut self,
        (text, at): (&[u8], usize),
        path: Vec<Step>,
        run: impl for<'a> FnOnce(&mut Encoder<'a>, &mut Option<Home>, Token<'a>) -> Read,
    ) -> Result<(), EncodeError> {
        let read = || {
            let xml = std::mem::take(&mut self.xml);
            let mut encoder = Encoder::new(catalogue(), self.root, Mode::Document, Reader::new(text)?, xml);
            encoder.path = path;
            let token = encoder.json.token();
            let read = token.and_then(|token| run(&mut encoder, &mut self.open, token));
            encoder.finish(read)?;
            Ok(encoder.xml)
        };
        self.xml = read().map_err(|e: EncodeError| e.behind(at))?;
        self.write()
    }

    fn write(&mut self) -> Result<(), EncodeError> {
        let written = self.output.write_all(&self.xml.out);
        self.xml.out.clear();
        written.map_err(|e| EncodeError::Io(e.to_string()))
    }

    /// The items of the document, of which the next value is the array.
    fn all(&mut self, json: &mut Values<impl BufRead>) -> Result<(), EncodeError> {
        if !json.take(b'[')? {
            return self.encode(
                json.value()?,
                vec![Step::Member("items")],
                |e, _, token| match token {
                    Token::Null => Ok(()),
                    _ => e.refuse(token, FieldFaultKind::Type("an array")),
                },
            );
        }
        while !json.take(b']')? {
            if self.count > 0 && !json.take(b',')? {
                return Err(json.error("neither , nor ] in an array"));
            }
            let path = vec![Step::Member("items"), Step::Item(self.count)];
            let ty = self.ty;
            self.encode(json.value()?, path, |e, open, token| {
                listing::item(e, ty, open, token)
            })?;
            self.count += 1;
        }
        Ok(())
    }

    fn end(mut self, page: Option<&(Vec<u8>, usize)>) -> Result<(), EncodeError> {
        // Without a page, what stands for it is read over.
        let (text, at) = page.map_or((b"null".as_slice(), 0), |(text, at)| (text, *at));
        let shows_page = self.ty.form == Form::QueryResult && page.is_some();
        let root = self.root;
        self.encode((text, at), Vec::new(), |e, open, token| {
            listing::leave(e, open);
            if shows_page {
                listing::paging_info(e, token)?;
            } else {
                e.json.rest(token)?;
            }
            e.xml.end(root.name);
            Ok(())
        })
    }
}
