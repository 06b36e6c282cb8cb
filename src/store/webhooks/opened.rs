//! Destinations of endpoints that were opened before: what is sealed is opened again only once its row has changed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::any::AnyRow;

use super::super::row::Columns as _;
use super::super::seal::Sealer;
use super::super::{Error, Tx};
use super::destination::{self, Destination};
use super::fan_out::{KEYS, keys};
use crate::domain::id::EndpointId;

/// How many are remembered; with more, all are opened anew.
const MOST: usize = 4096;

/// Destinations by endpoint, each with what its row held.
#[derive(Default)]
pub struct OpenedDestinations(Mutex<HashMap<EndpointId, (Sealed, Arc<Destination>)>>);

/// What an endpoint's row says of where it points, as it is stored, and when its owner last changed it.
type Sealed = (i64, destination::Stored);

impl OpenedDestinations {
    fn of(&self, id: EndpointId, row: &AnyRow, sealer: &Sealer) -> Result<Arc<Destination>, Error> {
        let sealed = (row.int("updated_at")?, destination::stored(row)?);
        let known = self.0.lock().get(&id).cloned();
        if let Some((_, destination)) = known.filter(|(known, _)| *known == sealed) {
            return Ok(destination);
        }
        let opened = Arc::new(destination::of_endpoint(row, sealer)?);
        let mut all = self.0.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(id, (sealed, opened.clone()));
        Ok(opened)
    }
}

impl fmt::Debug for OpenedDestinations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenedDestinations")
    }
}

impl Tx {
    /// Where the deliveries of these endpoints go; those that cannot be read have an error in its place.
    pub(super) async fn endpoint_destinations(
        &mut self,
        ids: impl IntoIterator<Item = EndpointId>,
        opened: &OpenedDestinations,
    ) -> Result<HashMap<EndpointId, Result<Arc<Destination>, Error>>, Error> {
        let table = self.engine().table("$1", KEYS);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select id, {}, updated_at from webhook_endpoints where id in (select r.key from {table})",
            destination::COLUMNS
        )))
        .bind(keys(ids)?)
        .fetch_all(self.connection())
        .await?;
        let sealer = self.sealer();
        let mut found = HashMap::new();
        for row in &rows {
            let id = row.parsed("id")?;
            match opened.of(id, row, &sealer) {
                Err(error) if !error.is_unreadable() => return Err(error),
                destination => found.insert(id, destination),
            };
        }
        Ok(found)
    }
}
