//! Transactions that are rolled back where they are dropped before they are committed.

use rusqlite::{Connection, Result, Transaction, TransactionBehavior};

/// Begins a transaction that takes locks as it needs them. [`Transaction::commit`] ends it.
pub(crate) fn begin(conn: &Connection) -> Result<Transaction<'_>> {
    Transaction::new_unchecked(conn, TransactionBehavior::Deferred)
}

/// Begins a transaction that holds the write lock from the start.
pub(crate) fn begin_to_write(conn: &Connection) -> Result<Transaction<'_>> {
    Transaction::new_unchecked(conn, TransactionBehavior::Immediate)
}
