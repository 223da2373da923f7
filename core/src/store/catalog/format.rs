//! The format of the catalog.

use crate::{
    base::error::{Context, Error, Result, State},
    live::database::{self, Live},
    os::files,
    sqlite::tx,
};
use rusqlite::Connection;
use std::path::Path;

/// The format that this version writes, in `user_version`. A newer one is refused.
pub(super) const FORMAT: i64 = 6;

/// What brings a catalog of format n to n + 1, from format 1 on.
const UPGRADES: &[&str] = &[
    "ALTER TABLE releases ADD COLUMN preview TEXT",
    include_str!("catalog-2-to-3.sql"),
    "ALTER TABLE build_log ADD COLUMN remedy TEXT",
    include_str!("catalog-4-to-5.sql"),
    include_str!("catalog-5-to-6.sql"),
];

/// Keeps a catalog of an older format beside it. Only for who holds its write lock, so that no two
/// are at it.
fn keep_copy(path: &Path, live: &Live, version: i64) -> Result<()> {
    let copy = path.with_file_name(format!("catalog.{version}.db"));
    if copy.exists() {
        return Ok(()); // of an upgrade that was cut off
    }
    // Under another name until it is whole: what a crash leaves of it is not taken for the copy.
    let new = path.with_file_name(format!("catalog.{version}.new"));
    let doing = || format!("keeping the catalog as {}", copy.display());
    files::remove_if_there(&new)?;
    let file = files::create_with_owner_of(&live.path, &new)?;
    // A connection of its own: VACUUM works in no transaction. It reads what was committed before
    // the lock was taken.
    let conn = database::open_catalog(path, live).context(doing)?;
    conn.execute("VACUUM INTO ?1", [new.to_string_lossy()])
        .context(doing)?;
    file.sync_all()
        .and_then(|()| std::fs::rename(&new, &copy))
        .context(doing)?;
    files::sync_name(path)
}

/// Makes the tables, or changes those of an older format, in one transaction.
pub(super) fn bring_up_to_date(conn: &Connection, path: &Path, live: &Live) -> Result<()> {
    let doing = || format!("bringing the catalog {} up to date", path.display());
    let tx = tx::begin_to_write(conn).context(doing)?;
    // Again, under the lock: another process may have been faster.
    let version = format_of(&tx, path)?;
    if (1..FORMAT).contains(&version) {
        keep_copy(path, live, version)?;
    }
    upgrade(&tx, path, version)?;
    tx.execute_batch(&format!("PRAGMA user_version = {FORMAT}"))
        .and_then(|()| tx.commit())
        .context(doing)
}

/// Makes the tables of this format out of those of `version`, in the transaction that is open.
pub(super) fn upgrade(conn: &Connection, path: &Path, version: i64) -> Result<()> {
    let doing = || format!("bringing the catalog {} up to date", path.display());
    let steps = match usize::try_from(version) {
        Ok(0) => &[
            include_str!("catalog.sql"),
            include_str!("catalog-4-to-5.sql"),
            include_str!("catalog-5-to-6.sql"),
        ],
        Ok(at) if version < FORMAT => &UPGRADES[at - 1..],
        _ => &[],
    };
    steps
        .iter()
        .try_for_each(|sql| conn.execute_batch(sql))
        .context(doing)
        .map_err(|e| match e {
            // What stands in it is not what any remy has written.
            Error::Internal(_) => Error::corrupt(e.detail().what.clone())
                .state(State::LiveUnchanged)
                .hint(ANEW),
            e => e,
        })
}

/// The way out of a catalog that cannot be read.
const ANEW: &str =
    "Move the catalog aside: the next publish begins a new one; the snapshots stay where they are";

/// The format of a catalog. Refuses a newer one.
pub(super) fn format_of(conn: &Connection, path: &Path) -> Result<i64> {
    let version: i64 = conn
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .context(|| format!("opening the catalog {}", path.display()))
        .map_err(|e| match e {
            Error::Corrupt(_) => e.state(State::LiveUnchanged).hint(ANEW),
            e => e,
        })?;
    if version > FORMAT {
        return Err(Error::invalid_argument(format!(
            "the store {} was written by a newer remy (its format is {version}, this one knows {FORMAT})",
            path.parent().unwrap_or(path).display()
        ))
        .state(State::NothingDone)
        .hint("Use that version of remy, or a newer one"));
    }
    Ok(version)
}
