//! A table's statement from its parts, for tables that remy makes or changes for an app.

use crate::{
    schema::{self, Check, Column, ForeignKey, Key, Table},
    sqlite::quote::{ident, idents},
};

/// The `CREATE TABLE` that makes this table.
pub(super) fn table(table: &Table) -> String {
    let mut parts: Vec<String> = table
        .columns
        .iter()
        .map(|c| format!("  {}", column(c, table)))
        .collect();
    let (_, whole) = keys(table);
    parts.extend(whole.map(|key| {
        format!(
            "  {}PRIMARY KEY ({}){}",
            named(&key.name),
            key_columns(key),
            conflict(&key.conflict)
        )
    }));
    for key in &table.uniques {
        parts.push(format!(
            "  {}UNIQUE ({}){}",
            named(&key.name),
            key_columns(key),
            conflict(&key.conflict)
        ));
    }
    parts.extend(
        table
            .checks
            .iter()
            .map(|Check { name, expr, .. }| format!("  {}CHECK ({expr})", named(name))),
    );
    parts.extend(
        table
            .foreign_keys
            .iter()
            .map(|key| format!("  {}", foreign_key(key))),
    );
    let mut options = Vec::new();
    if table.without_rowid {
        options.push("WITHOUT ROWID");
    }
    if table.strict {
        options.push("STRICT");
    }
    let options = if options.is_empty() {
        String::new()
    } else {
        format!(" {}", options.join(", "))
    };
    format!(
        "CREATE TABLE {} (\n{}\n){options}",
        ident(&table.name),
        parts.join(",\n")
    )
}

/// The primary key: with its column, or after the columns.
fn keys(table: &Table) -> (Option<&Key>, Option<&Key>) {
    match &table.primary_key {
        // AUTOINCREMENT, and what makes no alias of the rowid, can stand with the column only.
        Some(key) if key.inline && key.columns.len() == 1 => (Some(key), None),
        other => (None, other.as_ref()),
    }
}

/// A column's definition.
pub(super) fn column(column: &Column, table: &Table) -> String {
    let mut out = ident(&column.name);
    let mut add = |part: &str| {
        out.push(' ');
        out.push_str(part);
    };
    if !column.declared_type.is_empty() {
        add(&column.declared_type);
    }
    if let (Some(key), _) = keys(table)
        && key.columns[0].name.eq_ignore_ascii_case(&column.name)
    {
        let order = if key.columns[0].descending {
            " DESC"
        } else {
            ""
        };
        let auto = if table.autoincrement {
            " AUTOINCREMENT"
        } else {
            ""
        };
        add(&format!(
            "{}PRIMARY KEY{order}{}{auto}",
            named(&key.name),
            conflict(&key.conflict)
        ));
    }
    if let Some(on_conflict) = &column.not_null {
        add(&format!("NOT NULL{}", conflict(on_conflict)));
    }
    if let Some(default) = &column.default {
        add(&format!("DEFAULT {default}"));
    }
    if let Some(collate) = &column.collate {
        add(&format!("COLLATE {}", ident(collate)));
    }
    if let Some(generated) = &column.generated {
        let kind = if generated.stored {
            "STORED"
        } else {
            "VIRTUAL"
        };
        add(&format!("GENERATED ALWAYS AS ({}) {kind}", generated.expr));
    }
    out
}

fn named(name: &Option<String>) -> String {
    name.as_ref()
        .map_or_else(String::new, |name| format!("CONSTRAINT {} ", ident(name)))
}

fn conflict(what: &str) -> String {
    if what == "abort" {
        String::new()
    } else {
        format!(" ON CONFLICT {}", what.to_ascii_uppercase())
    }
}

fn key_columns(key: &Key) -> String {
    let part = |part: &schema::KeyColumn| {
        let collate = part
            .collate
            .as_ref()
            .map_or_else(String::new, |c| format!(" COLLATE {}", ident(c)));
        format!(
            "{}{collate}{}",
            ident(&part.name),
            if part.descending { " DESC" } else { "" }
        )
    };
    key.columns.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn foreign_key(key: &ForeignKey) -> String {
    let parent_columns = if key.parent_columns.is_empty() {
        String::new()
    } else {
        format!(" ({})", idents(&key.parent_columns))
    };
    let action = |when: &str, what: &str| {
        if what == "NO ACTION" {
            String::new()
        } else {
            format!(" ON {when} {what}")
        }
    };
    format!(
        "{}FOREIGN KEY ({}) REFERENCES {}{parent_columns}{}{}{}",
        named(&key.name),
        idents(&key.columns),
        ident(&key.parent),
        action("UPDATE", &key.on_update),
        action("DELETE", &key.on_delete),
        if key.deferred {
            " DEFERRABLE INITIALLY DEFERRED"
        } else {
            ""
        },
    )
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    /// A table and what is rendered of it are one schema, read back from SQLite.
    #[test]
    fn nothing_is_lost() {
        crate::sqlite::engine::init();
        for sql in [
            "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)",
            "CREATE TABLE t (id INTEGER PRIMARY KEY DESC, a TEXT UNIQUE ON CONFLICT IGNORE)",
            "CREATE TABLE t (a TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'it''s' COLLATE NOCASE CHECK (a <> ')'), \
             b REAL DEFAULT (1 + 2) CONSTRAINT big CHECK (b > 0), c AS (a || b) STORED, d INT GENERATED ALWAYS AS (length(a)), \
             CONSTRAINT k PRIMARY KEY (a COLLATE RTRIM, b DESC) ON CONFLICT FAIL, UNIQUE (b, a)) WITHOUT ROWID",
            "CREATE TABLE p (x, y, UNIQUE (x, y)); CREATE TABLE t (\"we\"\"ird\" VARCHAR(10), \"select\" INT REFERENCES p ON DELETE CASCADE, \
             CONSTRAINT f FOREIGN KEY (\"we\"\"ird\", \"select\") REFERENCES p (x, y) ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED)",
        ] {
            let read = |sql: &str| {
                let conn = Connection::open_in_memory().unwrap();
                conn.execute_batch(sql)
                    .unwrap_or_else(|e| panic!("{sql}: {e}"));
                crate::schema::introspect::read(&conn, &[]).unwrap()
            };
            let one = read(sql);
            let rendered: Vec<_> = one.tables.iter().map(super::table).collect();
            let two = read(&rendered.join(";"));
            let changes = crate::schema::diff::diff(&one, &two, &[]).unwrap();
            assert!(changes.is_empty(), "{sql}\n{rendered:?}\n{changes:?}");
        }
    }
}
