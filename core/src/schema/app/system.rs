//! The columns that every table of an app has.

use crate::{schema::logical::Logical, sqlite::quote::same_name};

/// A column that every table of an app has.
#[derive(Debug)]
pub struct SystemColumn {
    /// Its name.
    pub name: &'static str,
    /// Its logical type.
    pub logical: Logical,
    /// SQLite's type.
    pub sql_type: &'static str,
    /// What fills it in.
    pub default: Option<&'static str>,
    /// The name by which an app may declare it in camel case.
    pub twin: Option<&'static str>,
}

/// A version 4 UUID.
const UUID: &str = "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || \
    substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))";

/// Unix milliseconds. SQLite keeps a time in whole milliseconds, so that rounding gives them back;
/// `unixepoch('subsec')` is younger than the oldest SQLite that may write.
pub(super) const NOW: &str = "(CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))";

/// The columns that every table of an app has. Defaults fill them in, not triggers: `RETURNING`
/// shows a row as it was before AFTER triggers.
pub const SYSTEM: [SystemColumn; 4] = [
    SystemColumn {
        name: "id",
        logical: Logical::Text,
        sql_type: "TEXT",
        default: Some(UUID),
        twin: None,
    },
    SystemColumn {
        name: "created_at",
        logical: Logical::Number,
        sql_type: "INTEGER",
        default: Some(NOW),
        twin: Some("createdAt"),
    },
    SystemColumn {
        name: "updated_at",
        logical: Logical::Number,
        sql_type: "INTEGER",
        default: Some(NOW),
        twin: Some("updatedAt"),
    },
    SystemColumn {
        name: "last_updated_by",
        logical: Logical::Text,
        sql_type: "TEXT",
        default: None,
        twin: Some("lastUpdatedBy"),
    },
];

pub(super) fn system(name: &str) -> Option<&'static SystemColumn> {
    SYSTEM.iter().find(|system| same_name(system.name, name))
}
