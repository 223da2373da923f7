//! Views and triggers that stand in the way of a change, and are made anew behind it.

use crate::{
    schema::{Schema, diff::Change},
    sqlite::lex,
};
use std::collections::BTreeSet;

/// What is not in the way of a statement by which SQLite edits the schema stays; the rest steps
/// aside.
///
/// To rename a table or column, or to drop a column, SQLite resolves every view and trigger there
/// is, fails over one that names what is not there, writes new names into those that have the old
/// ones, and single quotes around strings that are in double quotes. SQLite need not touch a view
/// or trigger that compiles today and names nothing that changes: what it reads stays the same, and
/// so does its text.
#[derive(Default)]
pub(super) struct Aside {
    pub(crate) views: Vec<String>,
    pub(crate) triggers: Vec<String>,
}

impl Aside {
    pub(crate) fn of(current: &Schema, changes: &[Change]) -> Self {
        let touched = changes.iter().flat_map(|change| match change {
            Change::DropTable(name) | Change::DropVirtual(name) => vec![name],
            Change::AlterVirtual(change) => vec![&change.from, &change.table],
            Change::DropView(name) | Change::DropIndex(name) => vec![name],
            Change::RenameTable { from, to } => vec![from, to],
            Change::AlterTable(change) => vec![&change.from, &change.table],
            _ => Vec::new(),
        });
        let mut touched: BTreeSet<String> = touched.map(|name| name.to_ascii_lowercase()).collect();
        let names = |sql: &str| -> BTreeSet<String> {
            lex::tokens(sql)
                .iter()
                .filter_map(|token| Some(token.name()?.to_ascii_lowercase()))
                .collect()
        };
        let sound = |name: &str| current.sound.contains(&name.to_ascii_lowercase());

        let mut aside = Self::default();
        let mut staying: Vec<_> = current
            .views
            .iter()
            .map(|view| (&view.name, names(&view.sql)))
            .collect();
        // A view that names one that steps aside does so too, and so on.
        loop {
            let (stay, go): (Vec<_>, Vec<_>) = staying
                .into_iter()
                .partition(|(name, names)| sound(name) && names.is_disjoint(&touched));
            if go.is_empty() {
                break;
            }
            touched.extend(go.iter().map(|(name, _)| name.to_ascii_lowercase()));
            aside
                .views
                .extend(go.into_iter().map(|(name, _)| name.clone()));
            staying = stay;
        }
        let go = current
            .triggers
            .iter()
            .filter(|t| !(sound(&t.name) && names(&t.sql).is_disjoint(&touched)));
        aside.triggers = go.map(|trigger| trigger.name.clone()).collect();
        aside
    }
}
