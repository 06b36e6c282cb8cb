//! The data files as TOML has them, before anything in them is resolved.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::model::Kind;

/// A data file as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub types: BTreeMap<Text, RawType>,
    #[serde(default)]
    pub enums: BTreeMap<Text, Vec<Text>>,
    #[serde(default)]
    pub resources: BTreeMap<Text, RawResource>,
    #[serde(default)]
    pub queries: BTreeMap<Text, RawQuery>,
    #[serde(default, rename = "link-relations")]
    pub link_relations: BTreeMap<Text, Text>,
}

/// Text of a data file. The parser lends nothing, so it is leaked: once, under two hundred kilobytes.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub(super) struct Text(pub &'static str);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.leak()))
    }
}

/// `[types.T]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawType {
    pub about: Option<Text>,
    pub kind: RawKind,
    pub extends: Option<Text>,
    #[serde(default)]
    pub root: Vec<Text>,
    pub root_guess: Option<Text>,
    #[serde(default)]
    pub link_types: Vec<Text>,
    #[serde(default)]
    pub choice: Vec<Vec<Text>>,
    pub fields: Vec<Text>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawKind {
    Abstract,
    Entity,
    Resource,
    Info,
    Spec,
    List,
    Query,
}

impl From<RawKind> for Kind {
    fn from(kind: RawKind) -> Self {
        match kind {
            RawKind::Abstract => Self::Abstract,
            RawKind::Entity => Self::Entity,
            RawKind::Resource => Self::Resource,
            RawKind::Info => Self::Info,
            RawKind::Spec => Self::Spec,
            RawKind::List => Self::List,
            RawKind::Query => Self::Query,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawResource {
    pub about: Option<Text>,
    pub page: Option<Text>,
    pub entity: Option<Text>,
    pub query: Option<Text>,
    pub auth: Option<RawAuth>,
    pub window_days: Option<u16>,
    pub documented: Option<bool>,
    #[serde(default)]
    pub aliases: Vec<Text>,
    pub operations: Vec<Text>,
    #[serde(default)]
    pub links: Vec<Text>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawAuth {
    None,
    Basic,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQuery {
    pub resource: Text,
    pub page: Option<Text>,
    pub fields: Vec<Text>,
}
