//! What the macros write and readers of the document (people and generators of clients) are better off without.

use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{ArrayItems, Schema, SchemaType, Type};
use utoipa::openapi::{Components, Content, Ref, RefOr, Required};

/// `Page_Plan` with its items written out becomes `PlanPage` with a reference to `Plan`.
pub(super) fn name_pages(components: &mut Components) {
    let pages: Vec<String> = components
        .schemas
        .keys()
        .filter(|name| name.starts_with(PAGE))
        .cloned()
        .collect();
    for old in pages {
        let (Some(mut schema), Some(item)) = (components.schemas.remove(&old), old.strip_prefix(PAGE)) else {
            continue;
        };
        if let RefOr::T(Schema::Object(page)) = &mut schema
            && let Some(RefOr::T(Schema::Array(items))) = page.properties.get_mut("items")
        {
            items.items = ArrayItems::RefOrSchema(Box::new(RefOr::Ref(Ref::from_schema_name(item))));
        }
        components.schemas.insert(format!("{item}Page"), schema);
    }
}

const PAGE: &str = "Page_";

/// Every body of an operation with its status, which is empty for what is asked.
pub(super) fn bodies(operation: &mut Operation) -> impl Iterator<Item = (&str, &mut Content)> {
    let answers = operation
        .responses
        .responses
        .iter_mut()
        .flat_map(|(status, response)| {
            let content = match response {
                RefOr::T(response) => Some(response.content.values_mut()),
                RefOr::Ref(_) => None,
            };
            content
                .into_iter()
                .flatten()
                .map(move |content| (status.as_str(), content))
        });
    let asked = operation.request_body.iter_mut().flat_map(|body| {
        let content = match body {
            RefOr::T(body) => Some(body.content.values_mut()),
            RefOr::Ref(_) => None,
        };
        content.into_iter().flatten().map(|content| ("", content))
    });
    answers.chain(asked).filter_map(|(place, content)| match content {
        RefOr::T(content) => Some((place, content)),
        RefOr::Ref(_) => None,
    })
}

/// Bodies and parameters that may be left out are left out, not null.
pub(super) fn operation(operation: &mut Operation) {
    for (_, content) in bodies(operation) {
        if let Some(schema) = &mut content.schema {
            not_null(schema);
            if let RefOr::Ref(reference) = schema
                && let Some(item) = reference
                    .ref_location
                    .rsplit('/')
                    .next()
                    .and_then(|name| name.strip_prefix(PAGE))
            {
                *reference = Ref::from_schema_name(format!("{item}Page"));
            }
        }
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && body.required.is_none()
    {
        body.required = Some(Required::False);
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(Parameter {
            schema: Some(schema), ..
        }) = parameter
        {
            not_null(schema);
        }
    }
}

/// `T or null` becomes `T`.
fn not_null(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::OneOf(choice)) if choice.items.len() == 2 => {
            if let Some(place) = choice.items.iter().position(|item| !is_null(item)) {
                *schema = choice.items.swap_remove(place);
            }
        }
        RefOr::T(Schema::Object(object)) => {
            if let SchemaType::Array(types) = &object.schema_type
                && let [one] = types
                    .iter()
                    .filter(|kind| **kind != Type::Null)
                    .collect::<Vec<_>>()
                    .as_slice()
            {
                object.schema_type = SchemaType::Type((*one).clone());
            }
        }
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}
