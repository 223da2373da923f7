//! SQLite below its SQL: the library, its files, its calls.

pub(crate) mod authorizer;
pub(crate) mod backup_api;
pub(crate) mod btree;
pub(crate) mod calls;
pub mod client;
pub(crate) mod deadline;
pub(crate) mod differing_rows;
#[cfg(feature = "engine")]
pub mod engine;
pub(crate) mod file_header;
pub(crate) mod foreign;
pub(crate) mod integrity;
pub(crate) mod lex;
pub(crate) mod libraries;
pub(crate) mod quote;
pub(crate) mod routines;
pub(crate) mod script;
pub(crate) mod since;
pub(crate) mod strangers;
pub(crate) mod touched_rows;
pub(crate) mod tx;
#[cfg_attr(
    not(feature = "engine"),
    expect(dead_code, reason = "only the embedded engine registers them")
)]
pub(crate) mod vfs;
pub(crate) mod wal;
