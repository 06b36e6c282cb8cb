//! What the catalogue is made of: types, fields, enumerations, resources, operations, queries.
//!
//! Plain data without behaviour beyond look-ups; built once by `load.rs` and never changed. Text is borrowed
//! from the embedded data files, so the whole vocabulary costs well under a megabyte.

use super::table::{NameTable, Print};

/// Index of a type in [`super::Catalogue::types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub(super) u16);

impl TypeId {
    /// Position in the catalogue, from 0.
    #[must_use]
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Index of an enumeration in [`super::Catalogue::enums`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnumId(pub(super) u16);

/// A scalar of EM's documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    String,
    Urn,
    Uuid,
    Url,
    /// Time of day, with or without zone; EM writes `22:00:00.0000000-07:00`.
    Time,
    Int,
    Long,
    Decimal,
    Boolean,
    DateTime,
}

impl Scalar {
    pub(super) const ALL: [(&'static str, Self); 10] = [
        ("string", Self::String),
        ("urn", Self::Urn),
        ("uuid", Self::Uuid),
        ("url", Self::Url),
        ("time", Self::Time),
        ("int", Self::Int),
        ("long", Self::Long),
        ("decimal", Self::Decimal),
        ("boolean", Self::Boolean),
        ("dateTime", Self::DateTime),
    ];

    /// The name used in the data files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Urn => "urn",
            Self::Uuid => "uuid",
            Self::Url => "url",
            Self::Time => "time",
            Self::Int => "int",
            Self::Long => "long",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::DateTime => "dateTime",
        }
    }

    /// Text in JSON whatever it looks like: an empty value of it is `""`, of the others null.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(
            self,
            Self::String | Self::Urn | Self::Uuid | Self::Url | Self::Time
        )
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    Scalar(Scalar),
    Enum(EnumId),
    Type(TypeId),
}

/// Where a field is in its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Attribute,
    Element,
    /// The character data of the element; `value` in JSON.
    Text,
}

/// How often a field's element occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    One,
    /// A wrapper element around items; see [`Field::items`].
    Wrapped,
    /// The element itself repeats.
    Repeated,
}

/// What a field means beyond its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Plain,
    /// `UID`: its last part becomes `id` where it is a URN of EM's.
    Uid,
    /// A URL, rewritten where it leads into EM's API.
    Url,
    /// The relation of a link, in lowerCamelCase.
    Relation,
}

/// Text that is written very often: short ones are copied as one block of fixed size, which is a few instructions.
#[derive(Debug, Clone)]
pub struct Key {
    text: Box<str>,
    block: [u8; 32],
}

impl Key {
    pub(super) fn new(text: String) -> Self {
        let mut block = [0; 32];
        if let Some(part) = block.get_mut(..text.len()) {
            part.copy_from_slice(text.as_bytes());
        }
        Self {
            text: text.into(),
            block,
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Appends the text.
    #[inline]
    pub fn write(&self, out: &mut Vec<u8>) {
        if self.text.len() <= self.block.len() {
            let end = out.len() + self.text.len();
            out.extend_from_slice(&self.block);
            out.truncate(end);
        } else {
            out.extend_from_slice(self.text.as_bytes());
        }
    }
}

/// ` Name="`: what an attribute begins with as a rule.
#[derive(Debug, Clone)]
pub struct Lead {
    text: Box<str>,
    /// The text as a word, and which bits of a word it is, where it is short enough.
    word: u64,
    mask: u64,
}

impl Lead {
    pub(super) fn new(name: &str) -> Self {
        let text = format!(" {name}=\"");
        let mut bytes = [0; 8];
        let short = text.len() <= 8;
        if short && let Some(part) = bytes.get_mut(..text.len()) {
            part.copy_from_slice(text.as_bytes());
        }
        let mask = if short {
            u64::MAX >> (64 - 8 * text.len())
        } else {
            0
        };
        Self {
            word: u64::from_le_bytes(bytes),
            mask,
            text: text.into(),
        }
    }

    /// What follows the lead, if `raw` begins with it.
    #[inline]
    #[must_use]
    pub fn strip<'a>(&self, raw: &'a str) -> Option<&'a str> {
        match raw.as_bytes().first_chunk::<8>() {
            Some(start) if self.mask != 0 => {
                if u64::from_le_bytes(*start) & self.mask != self.word {
                    return None;
                }
                raw.get(self.text.len()..)
            }
            _ => raw.strip_prefix(&*self.text),
        }
    }
}

/// One field of a type, inherited ones included.
#[derive(Debug)]
pub struct Field {
    /// EM's name; `#text` for character data.
    pub name: &'static str,
    /// The JSON name.
    pub json: Box<str>,
    /// `,"json":` ready to be written.
    pub key: Key,
    /// The same with the quote or bracket that always follows it, if one does.
    pub opening: Key,
    /// ` Name="`, how an attribute usually begins.
    pub lead: Lead,
    pub(super) print: Print,
    pub place: Place,
    pub shape: Shape,
    pub value: Value,
    pub role: Role,
    /// Names an item of a wrapper has or may have; the first is the one written.
    pub items: Box<[&'static str]>,
    /// A request must carry it.
    pub required: bool,
    /// May a request carry a new value? `None`: no page says.
    pub writable: Option<bool>,
    /// Was seen present and empty although it is not a string.
    pub nillable: bool,
    /// Documented in one table only, or inferred.
    pub doubtful: bool,
    /// A narrower form of the value, such as `u16` or `ipv4`.
    pub hint: Option<&'static str>,
    /// The base type it comes from, if inherited.
    pub from: Option<TypeId>,
    /// Meaning, where the name does not say it.
    pub about: Option<&'static str>,
}

impl Field {
    /// Whether JSON has an array here.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.shape != Shape::One
    }

    /// Whether null is a value of it: empty text is null but for strings, and so is EM's "never"; a string or an object is
    /// null only where that was seen.
    #[must_use]
    pub fn may_be_null(&self) -> bool {
        match self.value {
            Value::Scalar(scalar) => !scalar.is_text() || self.nillable,
            Value::Enum(_) => true,
            Value::Type(_) => self.nillable,
        }
    }

    /// Whether a request must have it and null will not do.
    #[must_use]
    pub fn must_be_given(&self) -> bool {
        self.required && (self.is_list() || !self.may_be_null())
    }
}

/// EM's own grouping of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Abstract,
    Entity,
    Resource,
    Info,
    /// Body of a request.
    Spec,
    List,
    /// Part of the answer of `/query`.
    Query,
}

/// How a type's element is written in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Object,
    /// One repeated child; as a document `{"items":[…],"page":{…}}`.
    List,
    /// `QueryResult`: the items of all its lists, and its page.
    QueryResult,
    /// `Entities`, `Resources`: parts of a query result that hold one list per type.
    QueryPart,
    /// `PagingInfo`: size, number, total, next, previous.
    Page,
}

/// A type of EM's documents.
#[derive(Debug)]
pub struct TypeDef {
    pub id: TypeId,
    pub name: &'static str,
    pub area: &'static str,
    pub kind: Kind,
    pub form: Form,
    pub extends: Option<TypeId>,
    /// Document elements of this type.
    pub roots: Box<[&'static str]>,
    /// The values of a `Type` attribute that mean this type.
    pub link_types: Box<[&'static str]>,
    /// Attributes first, then elements in document order.
    pub fields: Box<[Field]>,
    /// Groups of field indexes of which a document has at most one.
    pub choices: Box<[Box<[u8]>]>,
    pub about: Option<&'static str>,
    /// Bit per field: those that are lists.
    pub list_mask: u64,
    /// Bit per field: those that must be there.
    pub required_mask: u64,
    /// A `UID` whose last part becomes `id`.
    pub has_uid: bool,
    /// Index of the character data field.
    pub text: Option<u8>,
    pub(super) attributes: NameTable,
    pub(super) elements: NameTable,
    pub(super) json: NameTable,
}

impl TypeDef {
    /// The attribute of this name, with its index.
    #[must_use]
    #[inline]
    pub fn attribute(&self, name: &[u8]) -> Option<(usize, &Field)> {
        self.attributes.find(name, |i| self.fields.get(i), |f| f.name)
    }

    /// The child element of this name, with its index.
    #[must_use]
    #[inline]
    pub fn element(&self, name: &[u8]) -> Option<(usize, &Field)> {
        self.elements.find(name, |i| self.fields.get(i), |f| f.name)
    }

    /// The same, trying the field at `guess` first.
    #[must_use]
    #[inline]
    pub fn element_near(&self, guess: usize, name: &[u8]) -> Option<(usize, &Field)> {
        let print = Print::of(name);
        if let Some(field) = self.fields.get(guess)
            && field.print == print
            && field.place == Place::Element
            && (name.len() <= Print::WHOLE || field.name.as_bytes() == name)
        {
            return Some((guess, field));
        }
        self.elements
            .find_print(&print, name, |i| self.fields.get(i), |f| f.name)
    }

    /// The field of this JSON name, with its index.
    #[must_use]
    #[inline]
    pub fn by_json(&self, name: &str) -> Option<(usize, &Field)> {
        self.json
            .find(name.as_bytes(), |i| self.fields.get(i), |f| &f.json)
    }
}

/// An enumeration: values in EM's order, because filters compare by position.
#[derive(Debug)]
pub struct EnumDef {
    pub name: &'static str,
    pub area: &'static str,
    pub(super) prints: Box<[Print]>,
    /// Documented values.
    pub values: Box<[&'static str]>,
    /// Values seen in answers though no list has them.
    pub observed: Box<[&'static str]>,
    /// What those words mean that do not say it themselves.
    pub meanings: Box<[(&'static str, &'static str)]>,
}

impl EnumDef {
    /// The known spelling of `value`, compared ignoring case: EM's own documents differ in it.
    #[must_use]
    pub fn find(&self, value: &str) -> Option<&'static str> {
        let all = || self.values.iter().chain(&*self.observed).copied();
        all()
            .find(|v| *v == value)
            .or_else(|| all().find(|v| v.eq_ignore_ascii_case(value)))
    }

    /// Whether `value` is spelled exactly as listed or seen.
    #[must_use]
    pub fn knows(&self, value: &[u8]) -> bool {
        let print = Print::of(value);
        let mut all = self.values.iter().chain(&*self.observed).zip(&self.prints);
        all.any(|(v, p)| *p == print && (value.len() <= Print::WHOLE || v.as_bytes() == value))
    }
}

/// A document element and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Root {
    pub name: &'static str,
    pub ty: TypeId,
    /// No document shows it; the name follows EM's habit.
    pub guessed: bool,
}

/// An HTTP method of EM's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "GET" => Some(Self::Get),
            "POST" => Some(Self::Post),
            "PUT" => Some(Self::Put),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// A query parameter of an operation; `format`, and `type` of `/query`, are implied and not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub required: bool,
    pub values: Box<[&'static str]>,
    pub boolean: bool,
}

/// What an operation takes as its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body {
    pub root: Root,
    pub optional: bool,
}

/// A link that the finished task of an operation carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskLink {
    pub rel: &'static str,
    pub link_type: Option<&'static str>,
    pub path: &'static str,
}

/// One operation of EM.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: Method,
    /// `?action=`, or the last path segment where `action_in_path`.
    pub action: Option<&'static str>,
    pub action_in_path: bool,
    /// The `type` of a `/query` operation.
    pub query: Option<&'static str>,
    pub body: Option<Body>,
    pub parameters: Box<[Parameter]>,
    /// The status of success.
    pub status: u16,
    /// The answer (with `?format=Entity` where `reference` is set).
    pub answer: Option<TypeId>,
    /// The answer without `?format=Entity`.
    pub reference: Option<TypeId>,
    /// The `Operation` text of its task.
    pub task: Option<&'static str>,
    pub task_links: Box<[TaskLink]>,
    /// Page of EM's manual.
    pub page: Option<&'static str>,
}

impl Operation {
    /// Whether EM answers a task that must be followed.
    #[must_use]
    pub fn is_task(&self) -> bool {
        self.task.is_some()
    }
}

/// Who may call a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// A logon session, as nearly everywhere.
    Session,
    None,
    /// The logon itself.
    Basic,
}

/// One segment of a path template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    Literal(&'static str),
    /// `{ID}`, `{vmname}`: one segment.
    Parameter(&'static str),
    /// `{filepath}`: the rest of the path, slashes included.
    Rest(&'static str),
}

/// A resource of EM: path template below `/api`, its operations.
#[derive(Debug)]
pub struct Resource {
    /// As EM's manual writes it, such as `/jobs/{ID}/includes/{ID}`.
    pub path: &'static str,
    /// Other spellings that EM itself uses in links.
    pub aliases: Box<[&'static str]>,
    pub area: &'static str,
    pub entity: Option<TypeId>,
    /// The collection's name under `/query`.
    pub query: Option<&'static str>,
    pub auth: Auth,
    /// A collection that reaches back only so many days.
    pub window_days: Option<u16>,
    /// False: known from links only, no page of its own.
    pub documented: bool,
    pub page: Option<&'static str>,
    pub about: Option<&'static str>,
    pub operations: Box<[Operation]>,
    /// `(Rel, target)` of the links an answer carries.
    pub links: Box<[(&'static str, &'static str)]>,
    pub(super) templates: Box<[Box<[Segment]>]>,
}

impl Resource {
    /// The segments of [`Resource::path`].
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        self.templates.first().map_or(&[], |t| t)
    }

    /// Whether its plain GET answers a list of entities.
    #[must_use]
    pub fn is_collection(&self, catalogue: &super::Catalogue) -> bool {
        self.operations
            .iter()
            .any(|o| o.method == Method::Get && o.answer.is_some_and(|t| catalogue.ty(t).form == Form::List))
    }
}

/// A field that a filter or a sort of `/query` may name.
#[derive(Debug)]
pub struct QueryField {
    pub name: &'static str,
    pub value: Value,
    pub doubtful: bool,
    pub about: Option<&'static str>,
}

/// What `/query?type=` can ask for.
#[derive(Debug)]
pub struct Query {
    /// The value of `type`.
    pub name: &'static str,
    pub area: &'static str,
    /// The collection it queries.
    pub resource: &'static str,
    pub page: Option<&'static str>,
    pub fields: Box<[QueryField]>,
}

impl Query {
    /// A field by name, ignoring case as EM does.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&QueryField> {
        self.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name))
    }
}
