//! Statements that are put together: text with `$1` parameters and their values.
//!
//! The driver's own builder writes `?` for whichever engine, which PostgreSQL does not read.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Executor};

use super::Error;
use super::text::checked;

/// A value for a parameter.
pub(in crate::store) enum Value {
    Text(String),
    Int(i64),
    OptText(Option<String>),
    OptInt(Option<i64>),
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::OptText(text)
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::OptInt(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// A statement in the making. Its text comes from this room alone; everything from outside is a parameter.
pub(in crate::store) struct Sql {
    text: String,
    values: Vec<Value>,
    confined: bool,
}

impl Sql {
    pub(in crate::store) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
            confined: false,
        }
    }

    /// Remembers that it has a condition by which only the rows of some are read.
    pub(in crate::store) fn confine(&mut self) -> &mut Self {
        self.confined = true;
        self
    }

    /// Whether only the rows of some are read.
    pub(in crate::store) fn is_confined(&self) -> bool {
        self.confined
    }

    /// Appends text.
    pub(in crate::store) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a parameter.
    pub(in crate::store) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.text.push_str(&format!("${}", self.values.len()));
        self
    }

    /// Appends `and column in (…)`; no values mean no narrowing.
    pub(in crate::store) fn and_one_of(
        &mut self,
        column: &str,
        values: impl ExactSizeIterator<Item = String>,
    ) -> &mut Self {
        if values.len() == 0 {
            return self;
        }
        self.push(" and ").push(column).push(" in (");
        self.bind_all(values).push(")")
    }

    /// Appends parameters, separated by commas.
    pub(in crate::store) fn bind_all(&mut self, values: impl Iterator<Item = String>) -> &mut Self {
        for (at, value) in values.enumerate() {
            if at > 0 {
                self.push(", ");
            }
            self.bind(value);
        }
        self
    }

    pub(in crate::store) async fn fetch_all(
        self,
        executor: impl Executor<'_, Database = Any>,
    ) -> Result<Vec<AnyRow>, Error> {
        Ok(self.query()?.fetch_all(executor).await?)
    }

    /// Runs a statement that answers no rows; how many it changed.
    pub(in crate::store) async fn execute(
        self,
        executor: impl Executor<'_, Database = Any>,
    ) -> Result<u64, Error> {
        Ok(self.query()?.execute(executor).await?.rows_affected())
    }

    fn query(self) -> Result<Query<'static, Any, AnyArguments>, Error> {
        for value in &self.values {
            if let Value::Text(text) | Value::OptText(Some(text)) = value {
                checked(text)?;
            }
        }
        let mut query = sqlx::query(AssertSqlSafe(self.text));
        for value in self.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Int(number) => query.bind(number),
                Value::OptText(text) => query.bind(text),
                Value::OptInt(number) => query.bind(number),
            };
        }
        Ok(query)
    }
}
