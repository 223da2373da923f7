//! What releases and switches are known by.

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a release, from 1. In JSON and SQL it is that number.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ReleaseId(pub i64);

impl ReleaseId {
    /// What stands in the place of a number where there is no release: in the name of the snapshot
    /// of a database that had no history, and in the lines of a verb that makes no release.
    pub(crate) const NONE: Self = Self(0);
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<i64> for ReleaseId {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl PartialEq<i64> for ReleaseId {
    fn eq(&self, number: &i64) -> bool {
        self.0 == *number
    }
}

impl ToSql for ReleaseId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for ReleaseId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

/// The id of a switch, as live's marker and the catalog have it.
///
/// It is compared, and no more is known of it than that somebody has written it there: before it
/// becomes part of a file's name, `is_well_formed` is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SwitchId(String);

impl SwitchId {
    /// Whether it is an id as remy makes them: 16 hexadecimal digits.
    pub(crate) fn is_well_formed(&self) -> bool {
        self.0.len() == 16
            && self
                .0
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl fmt::Display for SwitchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<&str> for SwitchId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// So that the name of a file can be compared with it.
impl PartialEq<str> for SwitchId {
    fn eq(&self, text: &str) -> bool {
        self.0 == text
    }
}

impl ToSql for SwitchId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for SwitchId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        String::column_result(value).map(Self)
    }
}
