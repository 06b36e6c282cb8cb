//! The query service over everything that is computed: rows, and what their fields are called there.

use super::kinds::{Kind, kind};
use super::plan::MEANINGS;
use super::values::Spot;
use crate::catalogue::{Place, QueryField, Scalar, Value as CatalogueValue, catalogue};
use crate::sim::exchange::{Call, Handled, Refusal};
use crate::sim::paging::{Member, page};
use crate::sim::query::{Field, FieldType, Row as QueryRow, Value};
use crate::sim::render::Form;
use crate::sim::scene::{Row, Scene};

/// What the fields of queries are called in documents, where the names differ.
const OTHER_NAMES: &[(&str, &[&str])] = &[
    (
        "CreationTime",
        &["CreationTimeUTC", "CreationTimeUtc", "BackupDateUTC"],
    ),
    ("EndTime", &["EndTimeUTC"]),
    ("Type", &["PointType", "JobType"]),
    ("Disabled", &["IsDisabled"]),
    ("UsedQuota", &["UsedQuotaMb"]),
    ("vAppDisplayName", &["VAppDisplayName"]),
    ("vAppName", &["VAppName"]),
    ("BackupResourceId", &["TenantResourceId"]),
];

/// `GET /query?type=…` of any type that has no rows of its own.
pub fn answer(call: &Call<'_>, name: &str, form: Form) -> Handled {
    let unknown = || Refusal::bad_request(format!("Query type '{name}' is not supported"));
    let query = catalogue().query(name).ok_or_else(unknown)?;
    let kind = kind(query.resource).ok_or_else(unknown)?;
    let scene = call.scene();
    let fields: Vec<Field> = query
        .fields
        .iter()
        .map(|field| Field {
            name: field.name,
            kind: type_of(field),
        })
        .collect();
    let rows: Vec<QueryRow<Row>> = scene
        .all(kind)
        .into_iter()
        .map(|row| {
            let value = |field: &Field| Value::of(field.kind, scene.text_of(&row, field.name).as_deref());
            QueryRow {
                values: fields.iter().map(value).collect(),
                item: row,
            }
        })
        .collect();
    let (member, item) = member(kind, form);
    page(call, member, &fields, rows, |_, row| match member {
        Member::Refs => scene.document(&row, Form::Reference, "Ref", true),
        _ => scene.document(&row, Form::Entity, item, false),
    })
}

/// The place and the name of a kind's rows in a result.
fn member(kind: &Kind, form: Form) -> (Member, &'static str) {
    if kind.key && form == Form::Reference {
        return (Member::Refs, "Ref");
    }
    let part = if kind.key { "EntitiesType" } else { "ResourcesType" };
    let list = catalogue().type_named(part).and_then(|part| {
        catalogue().ty(part).fields.iter().find(|list| {
            matches!(list.value, CatalogueValue::Type(ty) if catalogue().ty(ty).name == kind.entity.name)
        })
    });
    match list {
        Some(list) => {
            let item = list.items.first().copied().unwrap_or(list.name);
            let member = if kind.key {
                Member::Entities
            } else {
                Member::Resources
            };
            (member(list.name), item)
        }
        // Some resources can be asked for though a result has no place for them.
        None => (Member::Refs, "Ref"),
    }
}

fn type_of(field: &QueryField) -> FieldType {
    let lower = field.name.to_ascii_lowercase();
    match field.value {
        CatalogueValue::Enum(id) => FieldType::Choice(&catalogue().enumeration(id).values),
        CatalogueValue::Scalar(Scalar::Int | Scalar::Long) => FieldType::Number,
        CatalogueValue::Scalar(Scalar::Decimal) => FieldType::Decimal,
        CatalogueValue::Scalar(Scalar::Boolean) => FieldType::Choice(&["false", "true"]),
        CatalogueValue::Scalar(Scalar::DateTime) => FieldType::Time,
        _ if lower.ends_with("uid") => FieldType::Urn,
        _ => FieldType::Text,
    }
}

impl Scene<'_> {
    /// The text of a query's field in one row.
    fn text_of(self, row: &Row, name: &str) -> Option<String> {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "uid" | "id" | "passwordkeyid" | "credentialsid" => return Some(row.id.clone()),
            "name" | "ipordnsname" => return Some(self.name(row)),
            _ => {}
        }
        let others = OTHER_NAMES
            .iter()
            .find(|(own, _)| *own == name)
            .map(|(_, others)| *others);
        let field = [name]
            .iter()
            .chain(others.unwrap_or_default())
            .find_map(|name| {
                let fields = &row.kind.entity.fields;
                fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
            })
            .filter(|field| !matches!(field.value, CatalogueValue::Type(_)));
        if let Some(field) = field {
            let edited = self.world.changes.text(row.key, field.name).map(str::to_owned);
            return edited.or_else(|| self.scalar(Spot::of(row), field, field.place == Place::Attribute));
        }
        if let Some(value) = super::facts::value(self, row, name) {
            return Some(value);
        }
        let (prefix, id) = match (lower.strip_suffix("uid"), lower.strip_suffix("id")) {
            (Some(prefix), _) | (None, Some(prefix)) => (prefix, true),
            _ => (lower.strip_suffix("name")?, false),
        };
        let (_, paths) = MEANINGS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(prefix))?;
        let other = paths
            .iter()
            .filter_map(|path| kind(path))
            .find_map(|target| self.relation(row, target))?;
        Some(if id { other.uid() } else { self.name(&other) })
    }
}
