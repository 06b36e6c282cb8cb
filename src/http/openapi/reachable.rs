//! Which schemas a schema needs: itself, and all that it refers to. `build.rs` reads this too, for what it takes from the document.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Those of `all` that are named by `names`, and what they refer to, by name. `prefix` is what a reference begins with.
pub fn reachable(all: &Map<String, Value>, names: Vec<String>, prefix: &str) -> BTreeMap<String, Value> {
    let (mut wanted, mut found) = (names, BTreeMap::new());
    while let Some(name) = wanted.pop() {
        if let Some(schema) = all.get(&name)
            && !found.contains_key(&name)
        {
            references(schema, prefix, &mut wanted);
            found.insert(name, schema.clone());
        }
    }
    found
}

fn references(value: &Value, prefix: &str, names: &mut Vec<String>) {
    match value {
        Value::String(text) => names.extend(text.strip_prefix(prefix).map(ToOwned::to_owned)),
        Value::Array(items) => items.iter().for_each(|item| references(item, prefix, names)),
        Value::Object(fields) => fields.values().for_each(|field| references(field, prefix, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
