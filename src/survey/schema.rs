//! The catalogue against the product's own schema files: what one of the two has and the other does not.
//!
//! Pure. Types go by their names; a type without a name is compared where the catalogue has one of its own for it. All words
//! are the schema's or the catalogue's.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::Serialize;

use super::xsd::{Member, Schema, Type};
use crate::catalogue::{Catalogue, EnumId, Field, Place, Scalar, Shape, TypeDef, Value, catalogue};

/// In what they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    TypeNotInCatalogue,
    TypeNotInSchema,
    DocumentNotInCatalogue,
    DocumentNotInSchema,
    FieldNotInCatalogue,
    FieldNotInSchema,
    /// Attribute here, element there.
    Place,
    Order,
    /// One here, many there.
    Cardinality,
    /// Required here, optional there.
    Required,
    /// Another scalar.
    Scalar,
    ValueNotInCatalogue,
    ValueNotInSchema,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    pub kind: Kind,
    #[serde(rename = "type")]
    pub ty: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.kind {
            Kind::TypeNotInCatalogue => "type not in the catalogue",
            Kind::TypeNotInSchema => "type not in the schema",
            Kind::DocumentNotInCatalogue => "document not in the catalogue",
            Kind::DocumentNotInSchema => "document not in the schema",
            Kind::FieldNotInCatalogue => "field not in the catalogue",
            Kind::FieldNotInSchema => "field not in the schema",
            Kind::Place => "place",
            Kind::Order => "order",
            Kind::Cardinality => "cardinality",
            Kind::Required => "required",
            Kind::Scalar => "scalar",
            Kind::ValueNotInCatalogue => "value not in the catalogue",
            Kind::ValueNotInSchema => "value not in the schema",
        };
        let dot = if self.field.is_empty() { "" } else { "." };
        let colon = if self.detail.is_empty() { "" } else { ": " };
        write!(f, "{words}: {}{dot}{}{colon}{}", self.ty, self.field, self.detail)
    }
}

/// What the comparison came to.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaReport {
    pub types_compared: u64,
    /// Files that the schema refers to; they are read when they are given as well.
    pub refers_to_files: usize,
    pub differences: BTreeSet<Difference>,
}

/// Compares them.
#[must_use]
pub fn compare(schema: &Schema) -> SchemaReport {
    let mut comparison = Comparison {
        schema,
        catalogue: catalogue(),
        report: SchemaReport {
            refers_to_files: schema.includes,
            ..SchemaReport::default()
        },
        compared: HashSet::new(),
    };
    comparison.all();
    comparison.report
}

struct Comparison<'s> {
    schema: &'s Schema,
    catalogue: &'static Catalogue,
    report: SchemaReport,
    /// Names of the catalogue's types that were compared.
    compared: HashSet<&'static str>,
}

impl Comparison<'_> {
    fn differ(&mut self, kind: Kind, ty: &str, field: &str, detail: impl Into<String>) {
        self.report.differences.insert(Difference {
            kind,
            ty: ty.to_owned(),
            field: field.to_owned(),
            detail: detail.into(),
        });
    }

    fn all(&mut self) {
        let schema = self.schema;
        for (name, ty) in &schema.types {
            match self.catalogue.type_named(name) {
                Some(id) => self.types(ty, self.catalogue.ty(id)),
                // The catalogue has no names for mere lists, and calls the type of a document by its own.
                None if schema.item_of(ty).is_some() || schema.roots.contains_key(name) => {}
                None => self.differ(Kind::TypeNotInCatalogue, name, "", ""),
            }
        }
        for (name, ty) in &schema.roots {
            match self.catalogue.root(name) {
                None => self.differ(Kind::DocumentNotInCatalogue, name, "", ""),
                Some(root) => {
                    let own = self.catalogue.ty(root.ty);
                    if let Some(ty) = schema.types.get(ty) {
                        self.types(ty, own);
                    }
                }
            }
        }
        for root in self.catalogue.roots() {
            if !root.guessed && !schema.roots.contains_key(root.name) {
                self.differ(Kind::DocumentNotInSchema, root.name, "", "");
            }
        }
        let missing = self.catalogue.types().map(|(_, ty)| ty.name);
        let missing: Vec<&str> = missing.filter(|name| !self.compared.contains(name)).collect();
        for name in missing {
            self.differ(Kind::TypeNotInSchema, name, "", "");
        }
    }

    fn types(&mut self, theirs: &Type, ours: &'static TypeDef) {
        if !self.compared.insert(ours.name) {
            return;
        }
        self.report.types_compared += 1;
        let members = self.schema.members_of(theirs);
        for member in &members {
            let same = |field: &&Field| field.name == member.name;
            let in_place = |field: &&Field| (field.place == Place::Attribute) == member.attribute;
            let named = || ours.fields.iter().filter(same);
            match named().find(in_place).or_else(|| named().next()) {
                None => self.differ(Kind::FieldNotInCatalogue, ours.name, &member.name, ""),
                Some(field) if !in_place(&field) => {
                    let is = if member.attribute { "attribute" } else { "element" };
                    let detail = format!("an {is} in the schema");
                    self.differ(Kind::Place, ours.name, field.name, detail);
                }
                Some(field) => self.fields(member, ours, field),
            }
        }
        for field in ours.fields.iter().filter(|field| field.place != Place::Text) {
            if !members.iter().any(|member| member.name == field.name) {
                self.differ(Kind::FieldNotInSchema, ours.name, field.name, "");
            }
        }
        let elements = members.iter().filter(|member| !member.attribute);
        let theirs: Vec<&str> = elements.map(|member| member.name.as_str()).collect();
        self.order(&theirs, ours);
    }

    /// The elements that both have, in the order of each.
    fn order(&mut self, theirs: &[&str], ours: &'static TypeDef) {
        let elements = ours.fields.iter().filter(|field| field.place == Place::Element);
        let own: Vec<&str> = elements
            .map(|field| field.name)
            .filter(|name| theirs.contains(name))
            .collect();
        let common = theirs.iter().filter(|name| own.contains(name));
        if let Some((name, instead)) = common.zip(&own).find(|(a, b)| a != b) {
            let detail = format!("the schema has it where the catalogue has {instead}");
            self.differ(Kind::Order, ours.name, name, detail);
        }
    }

    fn fields(&mut self, member: &Member, ours: &'static TypeDef, field: &'static Field) {
        let in_schema = |is: bool, what: &str| {
            format!(
                "{} in the schema",
                if is {
                    what.to_owned()
                } else {
                    format!("not {what}")
                }
            )
        };
        if member.required != field.required {
            self.differ(
                Kind::Required,
                ours.name,
                field.name,
                in_schema(member.required, "required"),
            );
        }
        let inner = member
            .own
            .as_deref()
            .or_else(|| self.schema.types.get(&member.ty));
        let item = inner.and_then(|ty| self.schema.item_of(ty));
        let item_fits = match field.shape {
            Shape::One => !member.repeated,
            Shape::Repeated => member.repeated,
            Shape::Wrapped => !member.repeated && item.is_some(),
        };
        if !item_fits {
            let detail = in_schema(member.repeated || item.is_some(), "many");
            self.differ(Kind::Cardinality, ours.name, field.name, detail);
            return;
        }
        let (name, inner) = match (&item, field.shape) {
            (Some(item), Shape::Wrapped) => {
                if !field.items.contains(&item.name.as_str()) {
                    let detail = format!("its items are called {} in the schema", item.name);
                    self.differ(Kind::FieldNotInCatalogue, ours.name, field.name, detail);
                }
                let inner = item.own.as_deref().or_else(|| self.schema.types.get(&item.ty));
                (item.ty.clone(), inner.cloned())
            }
            _ => (member.ty.clone(), inner.cloned()),
        };
        match (field.value, inner) {
            // What has a name is compared by it.
            (Value::Type(id), Some(inner)) if name.is_empty() => self.types(&inner, self.catalogue.ty(id)),
            (Value::Enum(id), _) => self.words(&name, id),
            (Value::Scalar(scalar), None) if !self.schema.enums.contains_key(&name) => {
                if !may_be(scalar, &name) {
                    let detail = format!("{} in the catalogue, {name} in the schema", scalar.name());
                    self.differ(Kind::Scalar, ours.name, field.name, detail);
                }
            }
            (Value::Type(_) | Value::Scalar(_), _) => {}
        }
    }

    fn words(&mut self, name: &str, id: EnumId) {
        let ours = self.catalogue.enumeration(id);
        let Some(theirs) = self.schema.enums.get(name).filter(|values| !values.is_empty()) else {
            return;
        };
        for value in theirs.iter().filter(|value| !ours.knows(value.as_bytes())) {
            self.differ(Kind::ValueNotInCatalogue, ours.name, "", value.as_str());
        }
        for value in ours
            .values
            .iter()
            .filter(|value| theirs.iter().all(|known| known != *value))
        {
            self.differ(Kind::ValueNotInSchema, ours.name, "", *value);
        }
    }
}

/// Whether a scalar of the catalogue may be that type of XML Schema; what the schema leaves open may be any.
fn may_be(scalar: Scalar, name: &str) -> bool {
    match name {
        "int" | "short" | "byte" | "long" | "integer" | "unsignedByte" | "unsignedShort" | "unsignedInt"
        | "unsignedLong" | "nonNegativeInteger" | "positiveInteger" => {
            matches!(scalar, Scalar::Int | Scalar::Long)
        }
        "decimal" | "double" | "float" => scalar == Scalar::Decimal,
        "boolean" => scalar == Scalar::Boolean,
        "dateTime" => scalar == Scalar::DateTime,
        "string" | "anyURI" | "normalizedString" | "token" => scalar.is_text(),
        _ => true,
    }
}
