//! A schema change on a clone: settings, migrations, what the rows have to say, the plan, and the
//! checks.

pub(crate) mod apply;
pub(crate) mod checks;
pub(crate) mod connection;
pub mod dependents;
pub mod migration_files;
pub(crate) mod migration_marks;
pub(crate) mod migration_names;
pub(crate) mod migrations;
pub(crate) mod questions;
pub(crate) mod rows;
pub(crate) mod survey;

use crate::{
    base::error::{Error, State, sqlite_message},
    schema::plan::model::Statement,
    sqlite::strangers::Stranger,
};
pub use apply::{apply, apply_again};
pub use checks::{check, fingerprint, recheck, violations};
pub use connection::prepare;
pub use migrations::{Migrated, migrations};
pub use questions::{measure, survey};
use rusqlite::{Connection, ffi};
pub use survey::Survey;

pub(crate) fn count(conn: &Connection, sql: &str) -> rusqlite::Result<u64> {
    conn.query_row(sql, [], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

/// `object` is what the statement is about, by its name of now.
pub(crate) fn failed(statement: &Statement, object: &str, e: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as C;
    let mut why = sqlite_message(e);
    if let Some((temp, name)) = &statement.stands_for {
        why = why.replace(temp, name);
    }
    let what = format!("{} of {object} failed: {why}", statement.kind);
    let error = match e.sqlite_error_code() {
        Some(
            C::DiskFull
            | C::SystemIoFailure
            | C::DatabaseBusy
            | C::OperationInterrupted
            | C::DatabaseCorrupt,
        ) => {
            let code = e.sqlite_error().copied();
            let code = code.unwrap_or(ffi::Error::new(ffi::SQLITE_ERROR));
            let named = rusqlite::Error::SqliteFailure(code, Some(why));
            return Error::sqlite(&named, &format!("{} of {object}", statement.kind))
                .object(object)
                .sql(&statement.sql)
                .state(State::OnlyCloneChanged);
        }
        _ => match Stranger::of(&why) {
            Some(stranger) => Error::unsupported_change(what).hint(stranger.hint()),
            None => Error::ddl_failed(what)
                .hint("Correct the declared schema, or the rows that stand in its way"),
        },
    };
    error
        .object(object)
        .sql(&statement.sql)
        .state(State::OnlyCloneChanged)
}
