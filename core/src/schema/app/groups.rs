//! Groups of columns that no two rows share.

use crate::schema::Key;
use std::collections::BTreeSet;

/// The columns of a key.
pub(super) fn column_names(key: &Key) -> Vec<String> {
    key.columns.iter().map(|part| part.name.clone()).collect()
}

/// Whether two groups of columns are the same, in whatever order.
pub(super) fn same_group(a: &[String], b: &[String]) -> bool {
    let set = |group: &[String]| {
        group
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect::<BTreeSet<_>>()
    };
    a.len() == b.len() && set(a) == set(b)
}
