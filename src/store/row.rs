//! Reading columns: moments, ids, words and documents out of rows, each fault named by its column.

use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::Error;

/// A moment as it is stored: microseconds since 1970, UTC.
pub(in crate::store) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The moment behind stored microseconds.
pub(in crate::store) fn moment(micros: i64, what: &'static str) -> Result<Timestamp, Error> {
    Timestamp::from_microsecond(micros).map_err(|_| Error::Corrupt { what })
}

/// A row with typed reading by column name.
pub(in crate::store) trait Columns {
    fn text(&self, what: &'static str) -> Result<String, Error>;
    fn opt_text(&self, what: &'static str) -> Result<Option<String>, Error>;
    fn int(&self, what: &'static str) -> Result<i64, Error>;
    fn opt_int(&self, what: &'static str) -> Result<Option<i64>, Error>;

    fn flag(&self, what: &'static str) -> Result<bool, Error> {
        Ok(self.int(what)? != 0)
    }

    fn at(&self, what: &'static str) -> Result<Timestamp, Error> {
        moment(self.int(what)?, what)
    }

    fn opt_at(&self, what: &'static str) -> Result<Option<Timestamp>, Error> {
        self.opt_int(what)?.map(|micros| moment(micros, what)).transpose()
    }

    fn parsed<T: FromStr>(&self, what: &'static str) -> Result<T, Error> {
        self.text(what)?.parse().map_err(|_| Error::Corrupt { what })
    }

    fn opt_parsed<T: FromStr>(&self, what: &'static str) -> Result<Option<T>, Error> {
        self.opt_text(what)?
            .map(|text| text.parse().map_err(|_| Error::Corrupt { what }))
            .transpose()
    }

    fn document<T: DeserializeOwned>(&self, what: &'static str) -> Result<T, Error> {
        serde_json::from_str(&self.text(what)?).map_err(|_| Error::Corrupt { what })
    }

    fn opt_document<T: DeserializeOwned>(&self, what: &'static str) -> Result<Option<T>, Error> {
        self.opt_text(what)?
            .map(|text| serde_json::from_str(&text).map_err(|_| Error::Corrupt { what }))
            .transpose()
    }
}

impl Columns for AnyRow {
    fn text(&self, what: &'static str) -> Result<String, Error> {
        self.try_get::<String, _>(what)
            .map_err(|error| unfit(error, what))
    }

    fn opt_text(&self, what: &'static str) -> Result<Option<String>, Error> {
        self.try_get::<Option<String>, _>(what)
            .map_err(|error| unfit(error, what))
    }

    fn int(&self, what: &'static str) -> Result<i64, Error> {
        self.try_get::<i64, _>(what).map_err(|error| unfit(error, what))
    }

    fn opt_int(&self, what: &'static str) -> Result<Option<i64>, Error> {
        self.try_get::<Option<i64>, _>(what)
            .map_err(|error| unfit(error, what))
    }
}

/// A value that its column never has from this program, such as none where one is due, is damage of the row.
fn unfit(error: sqlx::Error, what: &'static str) -> Error {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Error::Corrupt { what },
        other => other.into(),
    }
}

/// The JSON text of a document column. Values of ours always serialise; a failure is reported as corruption.
pub(in crate::store) fn json<T: serde::Serialize>(value: &T, what: &'static str) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Corrupt { what })
}
