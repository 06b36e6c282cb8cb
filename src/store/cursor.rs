//! Pages of lists: where a page begins, and the statement that reads it by the key of the list's order.
//!
//! Rows that cannot be read do not make a page short while there are others: the loop of a list reads on from the last
//! row until the page is full.

use sqlx::any::AnyRow;

use super::Error;
use super::row::Columns as _;
use super::sql::{Sql, Value};

/// Where a page of a list begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor<I> {
    /// Behind this one in the list's order.
    After(I),
    /// Before this one in the list's order.
    Before(I),
}

/// A page in the making.
pub(in crate::store) struct Page<T> {
    column: &'static str,
    /// The same in a form that the index of the column does not serve.
    computed: &'static str,
    key_of: fn(&AnyRow) -> Result<Value, Error>,
    /// Whether rows are read from high keys to low ones.
    descending: bool,
    /// Whether rows are read against the list's order.
    reversed: bool,
    from: Option<Value>,
    limit: i64,
    items: Vec<T>,
}

impl<T> Page<T> {
    /// A page of a list by `id`, newest first.
    pub(in crate::store) fn newest_first<I: ToString>(cursor: Option<Cursor<I>>, limit: i64) -> Self {
        let key_of = |row: &AnyRow| Ok(row.text("id")?.into());
        let place = |id: I| id.to_string();
        let cursor = cursor.map(|cursor| cursor.map(place));
        Self::new(("id", "id || ''"), key_of, true, cursor, limit)
    }

    /// A page of the event log by `seq`, oldest first.
    pub(in crate::store) fn oldest_first(cursor: Cursor<i64>, limit: i64) -> Self {
        let key_of = |row: &AnyRow| Ok(row.int("seq")?.into());
        Self::new(("seq", "seq + 0"), key_of, false, Some(cursor), limit)
    }

    /// A page of the event log by `seq`, newest first.
    pub(in crate::store) fn events_newest_first(cursor: Option<Cursor<i64>>, limit: i64) -> Self {
        let key_of = |row: &AnyRow| Ok(row.int("seq")?.into());
        Self::new(("seq", "seq + 0"), key_of, true, cursor, limit)
    }

    /// A page of the audit log by `sequence`, oldest first.
    pub(in crate::store) fn by_sequence(cursor: Option<Cursor<i64>>, limit: i64) -> Self {
        let key_of = |row: &AnyRow| Ok(row.int("sequence")?.into());
        Self::new(("sequence", "sequence + 0"), key_of, false, cursor, limit)
    }

    fn new<V: Into<Value>>(
        (column, computed): (&'static str, &'static str),
        key_of: fn(&AnyRow) -> Result<Value, Error>,
        newest_first: bool,
        cursor: Option<Cursor<V>>,
        limit: i64,
    ) -> Self {
        let reversed = matches!(cursor, Some(Cursor::Before(_)));
        Self {
            column,
            computed,
            key_of,
            descending: newest_first != reversed,
            reversed,
            from: cursor.map(|cursor| match cursor {
                Cursor::After(key) | Cursor::Before(key) => key.into(),
            }),
            limit,
            items: Vec::new(),
        }
    }

    /// Ends a statement whose conditions are complete: place, order and number of the rows that are wanted next.
    pub(in crate::store) fn confine(&mut self, sql: &mut Sql) {
        let (beyond, order) = if self.descending {
            (" < ", " desc")
        } else {
            (" > ", " asc")
        };
        if let Some(key) = self.from.take() {
            sql.push(" and ").push(self.column).push(beyond).bind(key);
        }
        // In the order of everybody's rows, few ones of a tenant are found only after all others were read: by the tenant's
        // index they cost the same, however many there are of others.
        let by = if sql.is_confined() {
            self.computed
        } else {
            self.column
        };
        sql.push(" order by ").push(by).push(order);
        sql.push(" limit ").bind(self.limit);
    }

    /// Adds what could be read of the statement's rows. True when the rows that follow are wanted as well.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the last row has no key.
    pub(in crate::store) fn add(&mut self, items: Vec<T>, rows: &[AnyRow]) -> Result<bool, Error> {
        self.items.extend(items);
        let most = self.most();
        self.from = rows.last().map(self.key_of).transpose()?;
        Ok(self.items.len() < most && rows.len() >= most)
    }

    /// The page in the list's order.
    pub(in crate::store) fn done(mut self) -> Vec<T> {
        let most = self.most();
        self.items.truncate(most);
        if self.reversed {
            self.items.reverse();
        }
        self.items
    }

    fn most(&self) -> usize {
        usize::try_from(self.limit).unwrap_or_default()
    }
}

impl<I> Cursor<I> {
    fn map<O>(self, change: impl FnOnce(I) -> O) -> Cursor<O> {
        match self {
            Self::After(key) => Cursor::After(change(key)),
            Self::Before(key) => Cursor::Before(change(key)),
        }
    }
}
