//! Request bodies against the catalogue: EM's bodies are sequences, and it accepts no element that it does not know.

use crate::catalogue::{Field, Place, Scalar, Shape, TypeDef, Value, catalogue};
use crate::sim::query::parse_time;
use crate::sim::xml::Node;

/// Checks an element against a type; the error is a sentence for EM's error document.
pub fn check(node: &Node, ty: &TypeDef) -> Result<(), String> {
    let mut given = vec![false; ty.fields.len()];
    for (name, value) in &node.attributes {
        // Namespaces, and what belongs to the schema itself (xsi:nil, xsi:type).
        if name == "xmlns" || name.contains(':') {
            continue;
        }
        let (at, field) = ty
            .attribute(name.as_bytes())
            .ok_or_else(|| format!("Attribute '{name}' was not expected on '{}'", node.name))?;
        check_value(value, field, name)?;
        mark(&mut given, at);
    }
    let mut least = 0;
    for child in &node.children {
        let (at, field) = ty
            .element(child.name.as_bytes())
            .filter(|(at, _)| *at >= least)
            .ok_or_else(|| {
                format!(
                    "Element '{}' was not expected in '{}' there",
                    child.name, node.name
                )
            })?;
        least = if field.shape == Shape::Repeated {
            at
        } else {
            at + 1
        };
        check_field(child, field)?;
        mark(&mut given, at);
    }
    let has_text = ty.fields.iter().any(|field| field.place == Place::Text);
    if !has_text && !node.text.trim().is_empty() {
        return Err(format!("Text was not expected in '{}'", node.name));
    }
    let given = |at: usize| given.get(at).copied().unwrap_or(false);
    for (at, field) in ty.fields.iter().enumerate() {
        if field.required && field.writable != Some(false) && !given(at) {
            return Err(format!("'{}' is missing in '{}'", field.name, node.name));
        }
    }
    for group in &ty.choices {
        if group.iter().filter(|at| given(usize::from(**at))).count() > 1 {
            return Err(format!("Only one alternative may be given in '{}'", node.name));
        }
    }
    Ok(())
}

fn mark(given: &mut [bool], at: usize) {
    if let Some(flag) = given.get_mut(at) {
        *flag = true;
    }
}

fn check_field(node: &Node, field: &Field) -> Result<(), String> {
    if field.shape != Shape::Wrapped {
        return check_one(node, field);
    }
    for item in &node.children {
        if !field.items.contains(&item.name.as_str()) {
            return Err(format!(
                "Element '{}' was not expected in '{}'",
                item.name, node.name
            ));
        }
        check_one(item, field)?;
    }
    Ok(())
}

fn check_one(node: &Node, field: &Field) -> Result<(), String> {
    match field.value {
        Value::Type(ty) => check(node, catalogue().ty(ty)),
        _ if !node.children.is_empty() => Err(format!("'{}' holds elements instead of a value", node.name)),
        _ => check_value(&node.text, field, &node.name),
    }
}

fn check_value(text: &str, field: &Field, name: &str) -> Result<(), String> {
    let trimmed = text.trim();
    // An empty element means no value.
    if trimmed.is_empty() {
        return Ok(());
    }
    let fits = match field.value {
        Value::Type(_) => false,
        Value::Enum(id) => catalogue().enumeration(id).find(trimmed).is_some(),
        Value::Scalar(Scalar::Int | Scalar::Long) => {
            trimmed.parse::<i64>().is_ok() || trimmed.parse::<u64>().is_ok()
        }
        Value::Scalar(Scalar::Decimal) => trimmed.parse::<f64>().is_ok(),
        Value::Scalar(Scalar::Boolean) => matches!(trimmed, "true" | "false" | "1" | "0"),
        Value::Scalar(Scalar::DateTime) => parse_time(trimmed).is_some(),
        Value::Scalar(Scalar::Uuid) => trimmed.parse::<uuid::Uuid>().is_ok(),
        Value::Scalar(Scalar::Time) => trimmed.contains(':'),
        Value::Scalar(Scalar::String | Scalar::Urn | Scalar::Url) => true,
    };
    if fits {
        Ok(())
    } else {
        Err(format!("'{trimmed}' is not a value of '{name}'"))
    }
}

/// The scalar fields of a request that a thing of that type has as well, under the same name.
pub fn kept(node: &Node, spec: &TypeDef, entity: &TypeDef) -> Vec<Node> {
    let same = spec.name == entity.name;
    node.children
        .iter()
        .filter(|child| {
            let Some((_, field)) = entity.element(child.name.as_bytes()) else {
                return false;
            };
            let plain = !matches!(field.value, Value::Type(_)) && !field.is_list();
            // Things that have things of their own below them show those, whatever a request says.
            let own = field.is_list() && matches!(field.value, Value::Type(_));
            let writable = field.writable != Some(false) && field.name != "Password";
            writable && field.name != "Links" && !own && (same || (plain && child.children.is_empty()))
        })
        .filter(|child| same || !child.text.trim().is_empty())
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::xml::read;

    fn checked(root: &str, inside: &str) -> Result<(), String> {
        let body = format!("<{root} xmlns=\"http://www.veeam.com/ent/v1.0\">{inside}</{root}>");
        let ty = catalogue().ty(catalogue().root(root).unwrap().ty);
        check(&read(body.as_bytes()).unwrap(), ty)
    }

    #[test]
    fn a_body_must_follow_the_schemas_order_and_types() {
        let whole = "<DnsNameOrIpAddress>a</DnsNameOrIpAddress><Port>9392</Port>";
        assert_eq!(checked("BackupServerSpec", whole), Ok(()));
        for wrong in [
            "<Port>9392</Port><DnsNameOrIpAddress>a</DnsNameOrIpAddress>",
            "<Port>9392</Port>",
            "<DnsNameOrIpAddress>a</DnsNameOrIpAddress><Port>many</Port>",
            "<DnsNameOrIpAddress>a</DnsNameOrIpAddress><Port>1</Port><Port>1</Port>",
            "<DnsNameOrIpAddress><b/></DnsNameOrIpAddress>",
            "<DnsNameOrIpAddress>a</DnsNameOrIpAddress><Novel/>",
            "text<DnsNameOrIpAddress>a</DnsNameOrIpAddress>",
        ] {
            assert!(checked("BackupServerSpec", wrong).is_err(), "{wrong}");
        }
        let both = "<StartNow>true</StartNow><StartDate>2026-01-01T00:00:00</StartDate>";
        assert!(checked("CloudFailoverPlanManagementSpec", both).is_err());
    }
}
