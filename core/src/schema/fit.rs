//! Which of the things that come is most like one that goes: the rename that a hint advises.

use crate::schema::{Schema, Table, meaning::column_meaning};
use std::cmp::Reverse;

/// Pairs of a column that goes and one that comes, the best first.
pub(super) fn columns(
    old: &Table,
    dropped: &[String],
    new: &Table,
    added: &[String],
) -> Vec<(String, String)> {
    pairs(dropped, added, |from, to| {
        let Some((a, b)) = old.column(from).zip(new.column(to)) else {
            return 0;
        };
        let defined = column_meaning(a, old, None) == column_meaning(b, new, None)
            && a.not_null == b.not_null;
        let typed = a.declared_type.eq_ignore_ascii_case(&b.declared_type);
        4 * u32::from(defined) + 2 * u32::from(typed) + 3 * u32::from(alike(from, to))
    })
}

/// Pairs of a table that goes and one that comes, the best first.
pub(super) fn tables(
    current: &Schema,
    dropped: &[String],
    declared: &Schema,
    created: &[String],
) -> Vec<(String, String)> {
    pairs(dropped, created, |from, to| {
        let Some((a, b)) = current.table(from).zip(declared.table(to)) else {
            return 0;
        };
        let common = a
            .columns
            .iter()
            .filter_map(|column| Some((column, b.column(&column.name)?)));
        let shared: u32 = common
            .map(|(one, other)| {
                1 + u32::from(column_meaning(one, a, None) == column_meaning(other, b, None))
            })
            .sum();
        let all = u32::try_from(a.columns.len() + b.columns.len())
            .unwrap_or(u32::MAX)
            .max(1);
        // Of a hundred, and a name counts where columns do not decide.
        shared.saturating_mul(100) / all + 5 * u32::from(alike(from, to))
    })
}

/// The same of names of which nothing else is known: those of virtual tables.
pub(super) fn names(gone: &[String], come: &[String]) -> Vec<(String, String)> {
    pairs(gone, come, |from, to| u32::from(alike(from, to)))
}

fn pairs(
    gone: &[String],
    come: &[String],
    score: impl Fn(&str, &str) -> u32,
) -> Vec<(String, String)> {
    let all = gone
        .iter()
        .flat_map(|from| come.iter().map(move |to| (from, to)));
    let mut scored: Vec<_> = all
        .map(|(from, to)| (score(from, to), (from.clone(), to.clone())))
        .collect();
    scored.sort_by_key(|(score, _)| Reverse(*score));
    scored.into_iter().map(|(_, pair)| pair).collect()
}

/// Whether one name holds the other, or they begin alike.
fn alike(a: &str, b: &str) -> bool {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let begin = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    a.contains(&b) || b.contains(&a) || begin >= 3
}
