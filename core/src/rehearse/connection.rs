//! The connection on which a change is rehearsed.

use crate::{
    base::error::{Context, Error, Result},
    sqlite::libraries::load_extensions,
};
use rusqlite::{Connection, config::DbConfig};
use std::path::PathBuf;

/// Sets a connection up for changing a schema, and loads `libraries` into it. Outside any
/// transaction.
pub fn prepare(conn: &Connection, libraries: &[PathBuf]) -> Result<()> {
    let doing = || "preparing the connection to the clone".to_owned();
    if !conn.is_autocommit() {
        return Err(Error::internal(
            "a connection was to be prepared inside a transaction, where foreign_keys cannot be set",
        ));
    }
    use DbConfig as C;
    for (setting, on) in [
        (C::SQLITE_DBCONFIG_ENABLE_FKEY, false),
        (C::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, true),
        (C::SQLITE_DBCONFIG_DEFENSIVE, false),
        (C::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
        (C::SQLITE_DBCONFIG_ENABLE_TRIGGER, true),
        (C::SQLITE_DBCONFIG_ENABLE_VIEW, true),
        // Schemas with "strings" in double quotes are about, and have to load.
        (C::SQLITE_DBCONFIG_DQS_DDL, true),
        (C::SQLITE_DBCONFIG_DQS_DML, true),
    ] {
        conn.set_db_config(setting, on).context(doing)?;
    }
    conn.execute_batch("PRAGMA recursive_triggers = OFF; PRAGMA ignore_check_constraints = OFF")
        .context(doing)?;
    // One of two arguments takes an address for a module of functions, and calls it. A host may
    // have it on.
    let _ = conn.set_db_config(C::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false);
    load_extensions(conn, libraries)
}
