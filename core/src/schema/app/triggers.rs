//! The triggers of an app's tables: those that a database brought with it, and the one that records
//! updates.

use crate::{
    schema::{
        Table, Trigger,
        app::{
            AppTable,
            complete::Completion,
            system::{NOW, system},
        },
    },
    sqlite::{
        lex,
        quote::{ident, same_name},
    },
};

impl Completion<'_> {
    /// The system columns that triggers fill in which the database had before the app.
    pub(super) fn filled_by_triggers(&self, old: &Table, declared: &AppTable) -> Vec<String> {
        let triggers = self
            .current
            .triggers
            .iter()
            .filter(|trigger| same_name(&trigger.table, &old.name));
        let purposes = triggers
            .filter(|trigger| !misses_rows(trigger, declared))
            .filter_map(|t| purpose(t, &old.name));
        purposes
            .filter(|(event, _)| event == "INSERT")
            .flat_map(|(_, columns)| columns)
            .collect()
    }

    /// Keeps the trigger that records updates, or adds one in the place of one that no longer can.
    pub(super) fn triggers(&mut self, table: &Table, declared: &AppTable, old: Option<&Table>) {
        let (mut notes, mut free) = (false, None);
        for trigger in old.iter().flat_map(|old| {
            self.current
                .triggers
                .iter()
                .filter(|t| same_name(&t.table, &old.name))
        }) {
            let Some(old) = old else { continue };
            if let Some((event, columns)) = purpose(trigger, &old.name) {
                if misses_rows(trigger, declared) {
                    free = free.or((event == "UPDATE").then(|| trigger.name.clone()));
                    continue;
                }
                notes |= event == "UPDATE"
                    && columns.iter().any(|column| same_name(column, "updated_at"));
            }
            let sql = self.renamed_in(&trigger.sql, old);
            self.schema.triggers.push(Trigger {
                name: trigger.name.clone(),
                table: table.name.clone(),
                sql,
            });
        }
        if notes {
            return;
        }
        let name =
            free.unwrap_or_else(|| self.free.numbered(&format!("{}_updated_at", table.name)));
        let t = ident(&table.name);
        // By `id`, which is no name of the rowid that a column may take over; with IS, since a TEXT
        // PRIMARY KEY may be NULL. Its own UPDATE changes updated_at, and does not set it off again
        // even with recursive_triggers.
        let sql = format!(
            "CREATE TRIGGER {} AFTER UPDATE ON {t} WHEN new.updated_at IS old.updated_at BEGIN\n  \
             UPDATE {t} SET updated_at = max({NOW}, ifnull(old.updated_at, 0) + 1), \
             last_updated_by = (SELECT user_id FROM _remy_session) WHERE id IS new.id;\nEND",
            ident(&name)
        );
        self.schema.triggers.push(Trigger {
            name,
            table: table.name.clone(),
            sql,
        });
    }
}

/// Whether a trigger reaches rows by a name of the rowid that is a column of the app's: it means
/// that column then, and finds other rows or none.
fn misses_rows(trigger: &Trigger, declared: &AppTable) -> bool {
    let tokens = lex::tokens(&trigger.sql);
    let is_column = |name: &str| {
        declared
            .columns
            .iter()
            .any(|column| same_name(&column.name, name))
    };
    let names = |name: &str| tokens.iter().any(|token| token.may_name(name));
    ["rowid", "oid", "_rowid_"]
        .into_iter()
        .any(|name| is_column(name) && names(name))
}

/// The event of a trigger that does nothing but set system columns of its own table, and which.
pub(super) fn purpose(trigger: &Trigger, table: &str) -> Option<(String, Vec<String>)> {
    let tokens = lex::tokens(&trigger.sql);
    let name = tokens.iter().position(|token| token.is("TRIGGER"))? + 1;
    let event = tokens
        .iter()
        .skip(name + 1)
        .find(|t| ["INSERT", "UPDATE", "DELETE"].iter().any(|e| t.is(e)))?;
    let begin = tokens.iter().rposition(|token| token.is("BEGIN"))?;
    let end = tokens.iter().rposition(|token| token.is("END"))?;
    let mut set = Vec::new();
    for statement in tokens
        .get(begin + 1..end)?
        .split(|token| token.is(";"))
        .filter(|s| !s.is_empty())
    {
        let at = statement.iter().position(|token| token.is("SET"))?;
        if !statement[0].is("UPDATE") || !statement[at - 1].may_name(table) {
            return None;
        }
        let (mut depth, mut target) = (0usize, true);
        for (i, token) in statement.iter().enumerate().skip(at + 1) {
            match () {
                () if token.is("(") => depth += 1,
                () if token.is(")") => depth = depth.saturating_sub(1),
                () if depth > 0 => {}
                () if token.is("WHERE") || token.is("FROM") => break,
                () if token.is(",") => target = true,
                () if target && statement.get(i + 1).is_some_and(|next| next.is("=")) => {
                    set.push(token.name().filter(|name| system(name).is_some())?);
                    target = false;
                }
                () => {}
            }
            // `SET (a, b) = …` is not looked into.
            if target && depth > 0 {
                return None;
            }
        }
    }
    (!set.is_empty()).then(|| (event.text.to_ascii_uppercase(), set))
}
