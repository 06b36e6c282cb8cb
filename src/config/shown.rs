//! The configuration as operators see it while the gateway runs: defaults, file and environment in one tree, without secrets.
//!
//! What may be a secret is masked by the name of its key, whatever its value: a new key with such a name is masked before
//! anybody thinks of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::Url;

use super::tree::Node;

/// In the place of a secret.
const MASK: &str = "***";
/// What the names of keys with secrets contain; a key that names a file is none.
const SECRET: &[&str] = &["password", "secret", "token", "credential", "private_key"];
const FILE: &str = "_file";

/// The tree over the defaults, as JSON.
pub(super) fn shown(defaults: &BTreeMap<String, Node>, given: &BTreeMap<String, Node>) -> Value {
    let mut all = object(defaults);
    merge(&mut all, object(given));
    Value::Object(all)
}

fn object(table: &BTreeMap<String, Node>) -> Map<String, Value> {
    table
        .iter()
        .map(|(key, node)| (key.clone(), value(key, node)))
        .collect()
}

fn value(key: &str, node: &Node) -> Value {
    match node {
        Node::Table(table) => Value::Object(object(table)),
        Node::List(items) => items.iter().map(|item| value(key, item)).collect(),
        Node::Leaf(_) if is_secret(key) => MASK.into(),
        Node::Leaf(leaf) => match &leaf.value {
            toml::Value::String(text) => without_credentials(text).into(),
            toml::Value::Integer(number) => (*number).into(),
            toml::Value::Float(number) => (*number).into(),
            toml::Value::Boolean(flag) => (*flag).into(),
            other => other.to_string().into(),
        },
    }
}

fn is_secret(key: &str) -> bool {
    !key.ends_with(FILE) && SECRET.iter().any(|word| key.contains(word))
}

/// An address without user and password, and without a query, which may have one as well. Other text as it is.
fn without_credentials(text: &str) -> String {
    if !text.contains("://") {
        return text.to_owned();
    }
    let Ok(mut url) = Url::parse(text) else {
        return MASK.to_owned();
    };
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if is_bare {
        return text.to_owned();
    }
    let has_query = url.query().is_some();
    url.set_query(None);
    let masked = url.set_username("").and_then(|()| url.set_password(None));
    match (masked, has_query) {
        (Err(()), _) => MASK.to_owned(),
        (Ok(()), true) => format!("{url}?{MASK}"),
        (Ok(()), false) => url.to_string(),
    }
}

/// Puts what was given in the place of defaults, table by table.
fn merge(all: &mut Map<String, Value>, given: Map<String, Value>) {
    for (key, value) in given {
        match (all.get_mut(&key), value) {
            (Some(Value::Object(known)), Value::Object(new)) => merge(known, new),
            (_, value) => drop(all.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tree::from_file;
    use super::*;

    fn read(text: &str) -> BTreeMap<String, Node> {
        from_file("a file", text).expect("TOML")
    }

    #[test]
    fn what_was_given_stands_over_the_defaults_and_secrets_are_masked() {
        let defaults = read("[server]\nmax_body = \"1MiB\"\nlisten = \"127.0.0.1:8080\"");
        let given = read(
            "[server]\nlisten = \"[::]:80\"\n[store]\nurl = \"postgres://me:hunter2@db.example/emgate\"\n\
             [webhooks]\nallow_private_networks = true\nproxy = \"http://me:hunter2@proxy.example:3128\"\n\
             [[upstream.accounts]]\nname = \"operators\"\npassword = \"hunter2\"\npassword_file = \"/run/p\"\n\
             [console.oidc]\nclient_secret = \"hunter2\"\n",
        );
        let all = shown(&defaults, &given);
        assert_eq!(
            all,
            json!({
                "server": {"max_body": "1MiB", "listen": "[::]:80"},
                "store": {"url": "postgres://db.example/emgate"},
                "webhooks": {"allow_private_networks": true, "proxy": "http://proxy.example:3128/"},
                "upstream": {"accounts": [
                    {"name": "operators", "password": "***", "password_file": "/run/p"},
                ]},
                "console": {"oidc": {"client_secret": "***"}},
            })
        );
    }

    #[test]
    fn an_address_that_cannot_be_read_is_masked() {
        assert_eq!(without_credentials("postgres://me:hunter2@[bad/x"), MASK);
        assert_eq!(
            without_credentials("postgres://db.example/emgate?password=hunter2"),
            "postgres://db.example/emgate?***"
        );
        assert_eq!(
            without_credentials("Sat 20:00 - Sun 06:00"),
            "Sat 20:00 - Sun 06:00"
        );
    }
}
