//! One table of a copy: its columns and key, the statements that read, write and find its rows, and a row as JSON.

use serde_json::{Map, Value};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::store::Error as StoreError;
use crate::store::engine::Engine;

/// The note of an unfinished copy in `meta`.
pub(super) const NOTE: &str = "copy";

/// A batch has no more rows.
pub(super) const ROWS: usize = 1000;

/// A table's columns, by name, and those of its key in the key's order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub name: &'static str,
    pub columns: Vec<Column>,
    pub key: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub is_text: bool,
}

/// A row's values, in the order of its table's columns.
pub(super) type Values = Vec<Value>;

impl Table {
    pub(super) fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().filter_map(|index| self.columns.get(*index))
    }

    pub(super) fn key_of(&self, row: &Values) -> Vec<Value> {
        self.key
            .iter()
            .filter_map(|index| row.get(*index).cloned())
            .collect()
    }

    /// The note of the copy is the new store's own.
    pub(super) fn is_the_note(&self, row: &Values) -> bool {
        self.name == "meta" && self.key_of(row) == [Value::from(NOTE)]
    }

    pub(super) fn not_the_note(&self) -> String {
        match self.name {
            "meta" => format!("key <> '{NOTE}'"),
            _ => "1 = 1".to_owned(),
        }
    }

    pub(super) fn batch_sql(&self, behind: bool) -> String {
        let names = joined(self.columns.iter(), "");
        let key = joined(self.key_columns(), "");
        let places: Vec<String> = (1..=self.key.len()).map(|number| format!("${number}")).collect();
        let behind = if behind {
            format!("where ({key}) > ({})", places.join(", "))
        } else {
            String::new()
        };
        format!(
            "select {names} from {} {behind} order by {key} limit {ROWS}",
            self.name
        )
    }

    pub(super) fn insert_sql(&self, engine: Engine) -> String {
        let overriding = match engine {
            Engine::Sqlite => "",
            Engine::Postgres => "overriding system value",
        };
        format!(
            "insert into {} ({}) {overriding} select {} from {}",
            self.name,
            joined(self.columns.iter(), ""),
            joined(self.columns.iter(), "r."),
            engine.table("$1", &shape(self.columns.iter()))
        )
    }

    pub(super) fn by_key_sql(&self, engine: Engine) -> String {
        let same = self
            .key_columns()
            .map(|Column { name, .. }| format!("t.{name} = r.{name}"));
        format!(
            "select {} from {} cross join {} t where {}",
            joined(self.columns.iter(), "t."),
            engine.table("$1", &shape(self.key_columns())),
            self.name,
            same.collect::<Vec<_>>().join(" and ")
        )
    }

    pub(super) fn values(&self, row: &AnyRow) -> Result<Values, StoreError> {
        let value = |(index, column): (usize, &Column)| {
            let value = if column.is_text {
                row.try_get::<Option<String>, _>(index)?.map(Value::from)
            } else {
                row.try_get::<Option<i64>, _>(index)?.map(Value::from)
            };
            Ok(value.unwrap_or(Value::Null))
        };
        let values: Result<Values, sqlx::Error> = (0..).zip(&self.columns).map(value).collect();
        values.map_err(StoreError::from)
    }

    pub(super) fn object(&self, row: &Values) -> Map<String, Value> {
        let names = self.columns.iter().map(|column| column.name.clone());
        names.zip(row.iter().cloned()).collect()
    }

    pub(super) fn key_object(&self, row: &Values) -> Map<String, Value> {
        let names = self.key_columns().map(|column| column.name.clone());
        names.zip(self.key_of(row)).collect()
    }
}

fn joined<'a>(columns: impl Iterator<Item = &'a Column>, prefix: &str) -> String {
    let names = columns.map(|column| format!("{prefix}{}", column.name));
    names.collect::<Vec<_>>().join(", ")
}

fn shape<'a>(columns: impl Iterator<Item = &'a Column>) -> Vec<(&'a str, &'static str)> {
    let kind = |column: &Column| if column.is_text { "text" } else { "bigint" };
    columns
        .map(|column| (column.name.as_str(), kind(column)))
        .collect()
}
