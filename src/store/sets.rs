//! Sets of rows as one parameter: a JSON array that the engine reads as a table, so that one statement serves any number of
//! rows. Its text does not depend on their number, and is prepared once.

use serde::Serialize;

use super::Error;
use super::engine::Engine;
use super::row::json;

/// The columns of such a table, each with its type: `text`, `bigint` or [`DOCUMENT`].
pub(in crate::store) type Shape = &'static [(&'static str, &'static str)];

/// The type of a column of long texts, whose rows hold a [`Place`] in [`Documents`].
pub(in crate::store) const DOCUMENT: &str = "json";

/// The long texts of a set, which are a parameter of their own: within its JSON each would be escaped, and read twice by the
/// engine to be what it was.
#[derive(Default)]
pub(in crate::store) struct Documents(Vec<u8>);

/// Where a text is among them, in bytes; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in crate::store) struct Place {
    from: usize,
    size: usize,
}

impl Documents {
    /// Adds a text.
    pub(in crate::store) fn add(&mut self, text: &str) -> Place {
        let place = Place {
            from: self.0.len() + 1,
            size: text.len(),
        };
        self.0.extend_from_slice(text.as_bytes());
        place
    }

    /// The parameter.
    pub(in crate::store) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// The rows as a parameter.
///
/// # Errors
/// [`Error::Corrupt`] in theory.
pub(in crate::store) fn parameter<T: Serialize>(rows: &[T]) -> Result<String, Error> {
    json(&rows, "a set of rows")
}

/// How many rows one statement writes, and how many bytes of them, one row at the least.
const MOST_ROWS: usize = 500;
const MOST_BYTES: usize = 1024 * 1024;

/// Rows in as many portions as there are to be statements.
pub(in crate::store) fn portions<T>(rows: &[T], size: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let (mut number, mut bytes) = (0, 0);
    rows.chunk_by(move |row, next| {
        number += 1;
        bytes += size(row);
        let goes_on = number < MOST_ROWS && bytes + size(next) <= MOST_BYTES;
        if !goes_on {
            (number, bytes) = (0, 0);
        }
        goes_on
    })
}

/// One text of a set.
#[derive(Serialize)]
struct Key {
    key: String,
}

/// A set of texts.
pub(in crate::store) const KEYS: Shape = &[("key", "text")];

/// A set of texts as a parameter.
///
/// # Errors
/// [`Error::Corrupt`] in theory.
pub(in crate::store) fn keys<T: ToString>(texts: impl IntoIterator<Item = T>) -> Result<String, Error> {
    let keys = texts.into_iter().map(|text| Key {
        key: text.to_string(),
    });
    parameter(&keys.collect::<Vec<_>>())
}

/// A column in a condition that only checks what another condition has found: no index answers it. A server that has no
/// statistics of a table yet takes every condition for a selective one, and would read all that waits to find a few by
/// their ids.
pub(in crate::store) fn checked(column: &str) -> String {
    format!("{column} || ''")
}

impl Engine {
    /// The parameter's rows as the table `r`, to be selected from.
    pub(in crate::store) fn table(self, parameter: &str, shape: &[(&str, &str)]) -> String {
        self.table_beside(parameter, "", shape)
    }

    /// The same of rows whose [`DOCUMENT`]s are the parameter `documents`.
    pub(in crate::store) fn table_beside(
        self,
        parameter: &str,
        documents: &str,
        shape: &[(&str, &str)],
    ) -> String {
        let columns = |written: &dyn Fn(&str, &str) -> String| {
            let columns = shape.iter().map(|(name, kind)| written(name, kind));
            columns.collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Sqlite => {
                let value = |name: &str| format!("json_extract(value, '$.{name}')");
                let columns = columns(&|name, kind| match kind {
                    DOCUMENT => {
                        let [from, size] = ["from", "size"].map(|part| value(&format!("{name}.{part}")));
                        format!("cast(substr({documents}, {from}, {size}) as text) as {name}")
                    }
                    _ => format!("{} as {name}", value(name)),
                });
                // In SQLite's own form (JSONB): of a row as text each column would read all anew.
                format!("(select {columns} from jsonb_each({parameter})) as r")
            }
            Self::Postgres => {
                let typed = columns(&|name, kind| format!("{name} {kind}"));
                let rows = format!("json_to_recordset({parameter}::json) as r({typed})");
                if !shape.iter().any(|(_, kind)| *kind == DOCUMENT) {
                    return rows;
                }
                let columns = columns(&|name, kind| match kind {
                    DOCUMENT => format!(
                        "convert_from(substring({documents}::bytea from (r.{name}->>'from')::int \
                         for (r.{name}->>'size')::int), 'UTF8') as {name}"
                    ),
                    _ => format!("r.{name}"),
                });
                format!("(select {columns} from {rows}) as r")
            }
        }
    }

    /// What a query finds for one row of a table, as one value: a JSON array of objects with these columns. This is how
    /// each row of a table can have a limit of its own on both engines.
    pub(in crate::store) fn gathered(self, columns: &[&str], query: &str) -> String {
        let pairs = columns.iter().map(|name| format!("'{name}', g.{name}"));
        let pairs = pairs.collect::<Vec<_>>().join(", ");
        match self {
            Self::Sqlite => format!("(select json_group_array(json_object({pairs})) from ({query}) as g)"),
            Self::Postgres => format!(
                "(select coalesce(json_agg(json_build_object({pairs})), '[]'::json)::text from ({query}) as g)"
            ),
        }
    }

    /// What follows a select that reads a table beside the rows named `table`, which are about to be changed.
    pub(in crate::store) fn for_update_of(self, table: &str) -> String {
        match self {
            Self::Sqlite => String::new(),
            Self::Postgres => format!(" for update of {table}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_writes_so_many_rows_and_so_many_bytes_at_the_most() {
        let sizes = |rows: &[usize]| -> Vec<usize> {
            let portions = portions(rows, |size| *size);
            portions.map(<[usize]>::len).collect()
        };
        assert_eq!(sizes(&[]), [] as [usize; 0]);
        assert_eq!(sizes(&[1; 1100]), [500, 500, 100]);
        let half = MOST_BYTES / 2;
        assert_eq!(sizes(&[half, half, 1, 2 * MOST_BYTES, half]), [2, 1, 1, 1]);
    }
}
