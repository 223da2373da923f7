//! The indexes of an app's tables: those that a database brought with it, and those that the app
//! needs.

use crate::{
    schema::{
        Column, Index, Table,
        app::{
            AppTable,
            complete::Completion,
            groups::{column_names, same_group},
        },
        parse,
    },
    sqlite::{
        lex,
        quote::{ident, idents, same_name},
    },
};

impl Completion<'_> {
    /// Keeps the indexes of the database that serve a purpose, and adds what lacks one. `old` is
    /// the table as it is, and its dropped columns by their declared names.
    pub(super) fn indexes(
        &mut self,
        table: &Table,
        declared: &AppTable,
        old: Option<(&Table, &[String])>,
    ) {
        let mut lacking = declared.unique.clone();
        lacking.retain(|group| {
            !table
                .uniques
                .iter()
                .any(|key| same_group(group, &column_names(key)))
        });
        let mut by_time = false;
        if let Some((old, gone)) = old {
            by_time = self.keep_indexes(table, declared, old, gone, &mut lacking);
        }
        if !by_time {
            self.add_index(table, "INDEX", "", &["created_at".to_owned()]);
        }
        for group in &lacking {
            self.add_index(table, "UNIQUE INDEX", "_unique", group);
        }
    }

    /// Keeps the indexes of `old` that name no dropped column, and takes the groups of columns that
    /// they make unique out of `lacking`. Returns whether one sorts the rows by `created_at`.
    fn keep_indexes(
        &mut self,
        table: &Table,
        declared: &AppTable,
        old: &Table,
        gone: &[String],
        lacking: &mut Vec<Vec<String>>,
    ) -> bool {
        let mut by_time = false;
        let gone = self.before(old, gone);
        let of_table = |index: &&Index| same_name(&index.table, &old.name);
        for index in self.current.indexes.iter().filter(of_table) {
            let tokens = lex::tokens(&index.sql);
            let on = tokens.iter().position(|token| token.is("ON")).unwrap_or(0);
            let names_it = |gone: &String| tokens[on..].iter().any(|token| token.may_name(gone));
            if gone.iter().any(names_it) {
                continue;
            }
            if let Some((is_unique, columns)) = plain_index(&index.sql) {
                let columns: Vec<_> = columns
                    .iter()
                    .map(|c| self.names.column(&old.name, c).to_owned())
                    .collect();
                let is_it = |group: &Vec<String>| same_group(group, &columns);
                if is_unique && !declared.unique.iter().any(is_it) {
                    // What has to be unique is the app's to say.
                    continue;
                }
                if is_unique {
                    lacking.retain(|group| !is_it(group));
                } else {
                    by_time |=
                        matches!(columns.as_slice(), [only] if same_name(only, "created_at"));
                }
            }
            let sql = self.renamed_in(&index.sql, old);
            self.schema.indexes.push(Index {
                name: index.name.clone(),
                table: table.name.clone(),
                sql,
            });
        }
        by_time
    }

    fn add_index(&mut self, table: &Table, kind: &str, end: &str, columns: &[String]) {
        let name = self
            .free
            .numbered(&format!("{}_{}{end}", table.name, columns.join("_")));
        let sql = format!(
            "CREATE {kind} {} ON {} ({})",
            ident(&name),
            ident(&table.name),
            idents(columns)
        );
        self.schema.indexes.push(Index {
            name,
            table: table.name.clone(),
            sql,
        });
    }

    /// The current names of the columns that are dropped.
    fn before(&self, old: &Table, gone: &[String]) -> Vec<String> {
        let goes = |column: &&Column| {
            gone.iter()
                .any(|g| same_name(g, self.names.column(&old.name, &column.name)))
        };
        old.columns
            .iter()
            .filter(goes)
            .map(|column| column.name.clone())
            .collect()
    }
}

/// Whether an index is unique, and its columns, where it is of whole rows and plain columns.
fn plain_index(sql: &str) -> Option<(bool, Vec<String>)> {
    let parsed = parse::index(sql).filter(|parsed| parsed.condition.is_none())?;
    let column = |sql: &String| match lex::tokens(sql).as_slice() {
        [only] => only.name(),
        _ => None,
    };
    Some((
        parsed.unique,
        parsed.columns.iter().map(column).collect::<Option<_>>()?,
    ))
}
