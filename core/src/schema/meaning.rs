//! What the parts of a schema mean, as text: two parts that mean the same give the same text.
//!
//! With `names`, a part is that of the current schema, and its text has the declared names.

use crate::{
    schema::{self, Check, Column, Key, Schema, Table, parse, rename::Names},
    sqlite::{
        lex::{self, Kind, Replacement, Token},
        quote::{literal, same_name},
    },
};
use std::collections::BTreeMap;

/// The meaning of an index's statement.
pub(super) fn index_meaning(
    schema: &Schema,
    index: &schema::Index,
    names: Option<&Names>,
) -> String {
    let table = schema.table(&index.table);
    let (Some(parsed), Some(table)) = (parse::index(&index.sql), table) else {
        return lex::meaning_of(&index.sql);
    };
    let on = names
        .map_or(index.table.as_str(), |names| names.table(&index.table))
        .to_ascii_lowercase();
    let body = lex::meaning(&parsed.body, &|token| stands_for(token, table, names));
    format!("{} {on} {body}", parsed.unique)
}

/// What a name in an expression of a table stands for: a column by its declared name, and, in
/// double quotes, a string where the table has no such column. SQLite itself writes such a string
/// with single quotes when it edits a statement.
fn stands_for(token: &Token<'_>, table: &Table, names: Option<&Names>) -> Option<Replacement> {
    let name = token.name()?;
    if table.column(&name).is_some() {
        return names.map(|names| Replacement::Name(names.column(&table.name, &name).to_owned()));
    }
    // It would not stay the string that it is.
    if names.is_some_and(|names| names.comes(table, &name)) {
        return Some(Replacement::Name(name));
    }
    let rowid = ["rowid", "oid", "_rowid_"]
        .iter()
        .any(|rowid| same_name(&name, rowid));
    (token.text.starts_with('"') && !rowid).then_some(Replacement::Text(name))
}

/// The meaning of a view's or a trigger's statement.
pub(super) fn definition_meaning(sql: &str) -> String {
    lex::meaning(&parse::definition(sql), &|_| None)
}

/// Whether the statements of two tables agree in their CHECKs and columns, in any order, and in the
/// number of their keys.
pub(super) fn agree(a: &Table, b: &Table) -> bool {
    let columns = |table: &Table| -> BTreeMap<String, (ColumnMeaning, Option<String>)> {
        let meaning =
            |column: &Column| (column_meaning(column, table, None), column.not_null.clone());
        table
            .columns
            .iter()
            .map(|column| (column.name.to_ascii_lowercase(), meaning(column)))
            .collect()
    };
    let told = |table: &Table| -> Vec<String> {
        let mut all: Vec<_> = checks(table, &[], None)
            .into_iter()
            .map(|(meaning, _)| meaning)
            .collect();
        all.sort();
        all
    };
    let keys = |t: &Table| {
        let kinds = (t.without_rowid, t.strict, t.autoincrement, t.opaque);
        (
            t.primary_key.is_some(),
            t.uniques.len(),
            t.foreign_keys.len(),
            kinds,
        )
    };
    keys(a) == keys(b) && told(a) == told(b) && columns(a) == columns(b)
}

/// The meanings of a table's CHECKs, except those in the definitions of the columns `without`.
pub(super) fn checks<'a>(
    table: &'a Table,
    without: &[String],
    names: Option<&Names>,
) -> Vec<(String, &'a Check)> {
    let left_out = |name: &str| without.iter().any(|w| w.eq_ignore_ascii_case(name));
    let checks = table
        .checks
        .iter()
        .filter(|check| !check.column.as_deref().is_some_and(left_out));
    checks
        .map(|check| {
            (
                format!(
                    "{} {}",
                    label(&check.name),
                    expression(&check.expr, table, names)
                ),
                check,
            )
        })
        .collect()
}

/// A constraint's name, by meaning.
fn label(name: &Option<String>) -> String {
    name.as_deref().unwrap_or_default().to_ascii_lowercase()
}

/// The meaning of a statement that is not understood: of all behind the table's name.
pub(super) fn opaque_meaning(table: &Table) -> String {
    let tokens = lex::tokens(&table.sql);
    let open = tokens.iter().position(|token| token.is("(")).unwrap_or(0);
    lex::meaning(&tokens[open..], &|_| None)
}

/// The tokens without the table's own name before a column's.
fn unqualified<'a>(tokens: &[Token<'a>], table: &str) -> Vec<Token<'a>> {
    let mut out: Vec<Token<'a>> = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        let qualifies = tokens[i].may_name(table) && tokens.get(i + 1).is_some_and(|t| t.is("."));
        i += if qualifies {
            2
        } else {
            out.push(tokens[i]);
            1
        };
    }
    out
}

fn expression(sql: &str, table: &Table, names: Option<&Names>) -> String {
    let tokens = unqualified(&lex::tokens(sql), &table.name);
    lex::meaning(lex::without_parens(&tokens), &|token| {
        stands_for(token, table, names)
    })
}

pub(super) type ColumnMeaning = (String, Option<String>, String, Option<(String, bool)>);

/// The meaning of a column's definition, except its NOT NULL.
pub(super) fn column_meaning(
    column: &Column,
    table: &Table,
    names: Option<&Names>,
) -> ColumnMeaning {
    (
        lex::meaning_of(&column.declared_type),
        column.default.as_deref().and_then(default_meaning),
        collation(column),
        column
            .generated
            .as_ref()
            .map(|g| (expression(&g.expr, table, names), g.stored)),
    )
}

fn collation(column: &Column) -> String {
    column
        .collate
        .as_deref()
        .unwrap_or("binary")
        .to_ascii_lowercase()
}

/// A `DEFAULT` by meaning: `NULL` is none; a name, and a text in double quotes, is a string.
fn default_meaning(sql: &str) -> Option<String> {
    let meaning = lex::meaning(
        lex::without_parens(&lex::tokens(&default_expression(sql))),
        &|_| None,
    );
    (meaning != "null").then_some(meaning)
}

/// A `DEFAULT` as an expression that means the same anywhere.
pub(super) fn default_expression(sql: &str) -> String {
    let tokens = lex::tokens(sql);
    match tokens.as_slice() {
        [token] if token.kind == Kind::Quoted => literal(&token.name().unwrap_or_default()),
        [token] if token.kind == Kind::Word => {
            let values = [
                "null",
                "true",
                "false",
                "current_time",
                "current_date",
                "current_timestamp",
            ];
            if values
                .iter()
                .any(|value| token.is(&value.to_ascii_uppercase()))
            {
                token.text.to_owned()
            } else {
                literal(token.text)
            }
        }
        _ => format!("({sql})"),
    }
}

/// The meaning of all that a table's statement holds beside columns and CHECKs, except what is in
/// the definitions of the columns `without`.
pub(super) fn constraints(
    schema: &Schema,
    table: &Table,
    without: &[String],
    names: Option<&Names>,
) -> Vec<String> {
    let column = |name: &str| {
        names
            .map_or(name, |names| names.column(&table.name, name))
            .to_ascii_lowercase()
    };
    let left_out = |name: &str| without.iter().any(|w| w.eq_ignore_ascii_case(name));
    let key = |what: &str, key: &Key| {
        let single = key.columns.len() == 1;
        let columns: Vec<String> = key
            .columns
            .iter()
            .map(|part| {
                let own = table
                    .column(&part.name)
                    .map_or_else(|| "binary".to_owned(), collation);
                let collate = part.collate.as_deref().map_or(own, str::to_ascii_lowercase);
                format!("{:?} {collate} {}", column(&part.name), part.descending)
            })
            .collect();
        // Where it stands means something for INTEGER PRIMARY KEY DESC only.
        let inline = key.inline && single && key.columns[0].descending;
        format!(
            "{what} {} {columns:?} {} {inline}",
            label(&key.name),
            key.conflict
        )
    };
    let mut all = vec![format!(
        "{} {} {}",
        table.without_rowid, table.strict, table.autoincrement
    )];
    let stands_with = |k: &Key| k.inline && k.columns.first().is_some_and(|c| left_out(&c.name));
    all.extend(
        table
            .primary_key
            .iter()
            .filter(|k| !stands_with(k))
            .map(|k| key("primary", k)),
    );
    all.extend(
        table
            .uniques
            .iter()
            .filter(|k| !stands_with(k))
            .map(|k| key("unique", k)),
    );
    for key in table
        .foreign_keys
        .iter()
        .filter(|key| !(key.inline && key.columns.iter().any(|c| left_out(c))))
    {
        let columns: Vec<String> = key.columns.iter().map(|c| column(c)).collect();
        let primary = || {
            schema
                .table(&key.parent)
                .and_then(|parent| parent.primary_key.as_ref())
        };
        let parent_columns: Vec<String> = if key.parent_columns.is_empty() {
            primary()
                .map(|key| key.columns.iter().map(|c| c.name.clone()).collect())
                .unwrap_or_default()
        } else {
            key.parent_columns.clone()
        };
        let parent_column = |c: &String| {
            names
                .map_or(c.as_str(), |n| n.column(&key.parent, c))
                .to_ascii_lowercase()
        };
        let parent_columns: Vec<String> = parent_columns.iter().map(parent_column).collect();
        let parent = names
            .map_or(key.parent.as_str(), |names| names.table(&key.parent))
            .to_ascii_lowercase();
        let (name, update, delete) = (label(&key.name), &key.on_update, &key.on_delete);
        all.push(format!(
            "foreign {name} {columns:?} {parent:?} {parent_columns:?} {update} {delete} {}",
            key.deferred
        ));
    }
    all.sort();
    all
}
