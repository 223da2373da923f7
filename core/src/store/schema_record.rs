//! The schema that live had when a release went live, as the catalog keeps it.

use crate::{base::error::Result, schema::introspect};
use rusqlite::Connection;

/// The schema of a database as the catalog keeps it, to be compared with what live has later.
pub(crate) fn record(conn: &Connection) -> Result<String> {
    let schema = introspect::read(conn, &[])?;
    serde_json::to_string(&schema).map_err(|e| crate::base::error::Error::internal(e.to_string()))
}
