//! One document from a stream to a stream: the transcoder as `emgate convert` offers it.
//!
//! XML becomes JSON in constant memory. The way back is constant for lists and query results, whose items pass one by
//! one; any other document is held while its members are put in EM's order.

use std::io::{BufRead, Write};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::encode::{self, Encoder, Mode, Step};
use super::error::{DecodeError, EncodeError, FieldFault, FieldFaultKind, excerpt};
use super::json::{self, Json};
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
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
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
fn stream(
    mut input: impl BufRead,
    output: &mut impl Write,
    root: Root,
    indent: bool,
) -> Result<(), EncodeError> {
    let io = |e: std::io::Error| EncodeError::Io(e.to_string());
    if input.fill_buf().map_err(io)?.starts_with(b"\xEF\xBB\xBF") {
        input.consume(3);
    }
    let ty = catalogue().ty(root.ty);
    let mut xml = Xml::new(indent);
    xml.start(root.name);
    xml.attribute("xmlns", NAMESPACE);
    let mut items = Items {
        root,
        ty,
        xml,
        output,
        open: None,
        count: 0,
        error: None,
    };
    let mut reader = serde_json::Deserializer::from_reader(input);
    let parsed = (&mut reader).deserialize_map(Members { items: &mut items });
    if let Some(error) = items.error.take() {
        return Err(error);
    }
    let syntax = |e: &serde_json::Error, what| match e.io_error_kind() {
        Some(kind) => EncodeError::Io(kind.to_string()),
        None => EncodeError::Syntax { what, at: e.column() },
    };
    let page = parsed.map_err(|e| syntax(&e, "the JSON does not read"))?;
    reader.end().map_err(|e| syntax(&e, "text behind the value"))?;
    items.end(page.as_deref())
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
    /// What was wrong; serde's own error cannot carry it.
    error: Option<EncodeError>,
}

impl<W: Write> Items<'_, W> {
    /// Runs an encoder on the XML so far.
    fn encode<'a>(
        &mut self,
        path: Vec<Step<'a>>,
        run: impl FnOnce(&mut Encoder<'a>, &mut Option<Home>),
    ) -> Result<(), EncodeError> {
        let xml = std::mem::replace(&mut self.xml, Xml::new(false));
        let mut encoder = Encoder::new(catalogue(), self.root, Mode::Document, false);
        encoder.xml = xml;
        encoder.path = path;
        run(&mut encoder, &mut self.open);
        encoder.check()?;
        self.xml = encoder.xml;
        self.output
            .write_all(&self.xml.out)
            .map_err(|e| EncodeError::Io(e.to_string()))?;
        self.xml.out.clear();
        Ok(())
    }

    fn item(&mut self, raw: &str) -> Result<(), EncodeError> {
        let value = json::parse(raw.as_bytes())?;
        let (ty, index) = (self.ty, self.count);
        self.count += 1;
        let path = vec![Step::Member("items"), Step::Item(index)];
        self.encode(path, |e, open| match ty.form {
            Form::QueryResult => match listing::home(e.catalogue, ty, &value) {
                Some(home) => {
                    listing::enter(e, open, home);
                    e.element(home.item_name(), home.list, &value);
                }
                None => e.fault(FieldFaultKind::UnknownItem),
            },
            _ => {
                if let Some(field) = ty.fields.iter().find(|f| f.is_list()) {
                    e.element(field.name, field, &value);
                }
            }
        })
    }

    fn end(mut self, page: Option<&RawValue>) -> Result<(), EncodeError> {
        let value = page.map(|p| json::parse(p.get().as_bytes())).transpose()?;
        let (ty, root) = (self.ty, self.root);
        self.encode(vec![Step::Member("page")], |e, open| {
            listing::leave(e, open);
            if let (Form::QueryResult, Some(value)) = (ty.form, &value) {
                e.xml.start("PagingInfo");
                listing::page(e, value);
                e.xml.end("PagingInfo");
            }
            e.xml.end(root.name);
        })
    }

    fn unknown(member: &str, what: FieldFaultKind) -> EncodeError {
        let pointer = json_pointer("", member);
        EncodeError::Invalid(vec![FieldFault { pointer, what }])
    }
}

/// The members of the document: `items` and `page`, in either order.
struct Members<'i, 'o, W> {
    items: &'i mut Items<'o, W>,
}

impl<'de, W: Write> Visitor<'de> for Members<'_, '_, W> {
    type Value = Option<Box<RawValue>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with items")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error;
        let stop = || A::Error::custom("stopped");
        let (mut page, mut seen) = (None, false);
        while let Some(key) = map.next_key::<String>()? {
            let what = match key.as_str() {
                "items" if !seen => {
                    seen = true;
                    map.next_value_seed(Each {
                        items: &mut *self.items,
                    })?;
                    continue;
                }
                "page" if page.is_none() => {
                    page = Some(map.next_value::<Box<RawValue>>()?);
                    continue;
                }
                "items" | "page" => FieldFaultKind::Twice,
                _ => FieldFaultKind::Unknown(self.items.ty.name),
            };
            self.items.error = Some(Items::<W>::unknown(&key, what));
            return Err(stop());
        }
        if !seen {
            self.items.error = Some(Items::<W>::unknown("items", FieldFaultKind::Missing));
            return Err(stop());
        }
        Ok(page)
    }
}

/// The items themselves.
struct Each<'i, 'o, W> {
    items: &'i mut Items<'o, W>,
}

impl<'de, W: Write> DeserializeSeed<'de> for Each<'_, '_, W> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, W: Write> Visitor<'de> for Each<'_, '_, W> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        use serde::de::Error;
        while let Some(raw) = items.next_element::<Box<RawValue>>()? {
            if let Err(error) = self.items.item(raw.get()) {
                self.items.error = Some(error);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}
