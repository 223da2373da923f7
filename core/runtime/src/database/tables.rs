//! The tables of a release, and which of their columns a method may write.

use crate::{failure::Failure, protocol};
use remy_db::internals::{
    live::declared,
    schema::app::{Logical, SYSTEM},
    sqlite::ident,
};
use rusqlite::{Connection, OptionalExtension};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What the auth table has for signing in: who signs in with what is the runtime's to say.
const MANAGED: [&str; 3] = ["email", "phone", "apiKey"];

/// The tables that the live release declares.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// By name, in lower case: letter case counts for nothing in SQLite.
    tables: HashMap<String, Table>,
    /// The triggers of the whole schema, in lower case.
    triggers: HashSet<String>,
    /// Every table and view of the schema, and every module that is one, in lower case.
    others: HashSet<String>,
    /// Whether there is a row that says who writes.
    pub(super) has_session: bool,
}

/// A table of the release.
#[derive(Debug)]
pub(super) struct Table {
    /// As the release writes it.
    pub(super) name: String,
    /// In the table's order.
    pub(super) columns: Vec<Column>,
    /// Those of the auth table that only the runtime writes, in lower case.
    managed: HashSet<String>,
}

/// A column of a table.
#[derive(Debug)]
pub(super) struct Column {
    /// As the release writes it.
    pub(super) name: String,
    /// What its values are.
    pub(super) logical: Logical,
}

/// Whether a column is in every table, or another name of one that is, and never written.
pub(super) fn is_system(column: &str) -> bool {
    SYSTEM
        .iter()
        .flat_map(|system| [Some(system.name), system.twin])
        .flatten()
        .any(|name| name.eq_ignore_ascii_case(column))
}

impl Tables {
    /// Reads what live says of itself, inside the caller's transaction.
    pub(super) fn read(
        conn: &Connection,
        auth: Option<&protocol::AuthTable>,
    ) -> remy_db::Result<Self> {
        let mut types: BTreeMap<String, HashMap<String, (String, Logical)>> = BTreeMap::new();
        for column in declared(conn)? {
            let logical = column.logical.unwrap_or(Logical::Text);
            let name = column.name.to_ascii_lowercase();
            types
                .entry(column.table)
                .or_default()
                .insert(name, (column.name, logical));
        }
        let mut tables = HashMap::new();
        for (name, mut types) in types {
            let mut names =
                conn.prepare("SELECT lower(name) FROM pragma_table_xinfo(?1, 'main')")?;
            let names = names
                .query_map([&name], |row| row.get::<_, String>(0))?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let columns = names
                .iter()
                .filter_map(|name| types.remove(name))
                .map(|(name, logical)| Column { name, logical })
                .collect();
            let managed = auth
                .filter(|auth| auth.table.eq_ignore_ascii_case(&name))
                .into_iter()
                .flat_map(|auth| MANAGED.iter().filter_map(|kind| auth.columns.get(*kind)))
                .map(|column| column.to_ascii_lowercase())
                .collect();
            let table = Table {
                columns,
                managed,
                name,
            };
            tables.insert(table.name.to_ascii_lowercase(), table);
        }
        let set = |sql: &str| {
            let mut names = conn.prepare(sql)?;
            names
                .query_map([], |row| row.get::<_, String>(0))?
                .collect::<rusqlite::Result<HashSet<_>>>()
        };
        let triggers = set("SELECT lower(name) FROM main.sqlite_schema WHERE type = 'trigger'")?;
        let others = set(
            "SELECT lower(name) FROM main.sqlite_schema WHERE type IN ('table', 'view')
             UNION SELECT lower(name) FROM pragma_module_list",
        )?;
        open_virtual_tables(conn)?;
        let session =
            "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = '_remy_session'";
        let has_session = conn
            .query_row(session, [], |_| Ok(()))
            .optional()?
            .is_some();
        Ok(Self {
            tables,
            triggers,
            others,
            has_session,
        })
    }

    /// Whether the release declares a table of this name.
    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.contains_key(&table.to_ascii_lowercase())
    }

    /// Whether the schema has a trigger of this name.
    pub(super) fn has_trigger(&self, name: &str) -> bool {
        self.triggers.contains(&name.to_ascii_lowercase())
    }

    /// Whether there is nothing of this name in the database: a statement that reads from it has
    /// made it itself, by WITH.
    pub(super) fn is_of_statement(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let sqlites = ["sqlite_", "pragma_"];
        !self.others.contains(&name) && !sqlites.iter().any(|start| name.starts_with(start))
    }

    /// The table of a name. `table_not_found` where the release declares none.
    pub(super) fn table(&self, name: &str) -> Result<&Table, Failure> {
        self.tables.get(&name.to_ascii_lowercase()).ok_or_else(|| {
            let mut all: Vec<_> = self.tables.values().map(|table| &*table.name).collect();
            all.sort_unstable();
            let known = match all.as_slice() {
                [] => "it has none".to_owned(),
                all => format!("there are {}", all.join(", ")),
            };
            let what = format!("the release has no table \"{name}\"; {known}");
            Failure::new("table_not_found", 400, what)
        })
    }

    /// As a method's process is told of them.
    pub(super) fn told(&self) -> BTreeMap<String, protocol::Table> {
        let told = |table: &Table| {
            let columns = table.columns.iter();
            protocol::Table {
                columns: columns
                    .map(|column| (column.name.clone(), column.logical.name().to_owned()))
                    .collect(),
            }
        };
        self.tables
            .values()
            .map(|table| (table.name.clone(), told(table)))
            .collect()
    }
}

/// Has the modules of virtual tables open them. They run SQL of their own when they do, which else
/// would come in the middle of a statement of an app's, and pass for a part of it.
fn open_virtual_tables(conn: &Connection) -> rusqlite::Result<()> {
    let sql = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0";
    let mut names = conn.prepare(sql)?;
    let mut names = names.query([])?;
    while let Some(row) = names.next()? {
        let name: String = row.get(0)?;
        // One that cannot be opened is an error of who uses it.
        let _ = conn.prepare(&format!("SELECT 1 FROM main.{}", ident(&name)));
    }
    Ok(())
}

impl Table {
    /// The column of a name. `invalid_column` where the table has none.
    pub(super) fn column(&self, name: &str) -> Result<&Column, Failure> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let all: Vec<_> = self.columns.iter().map(|column| &*column.name).collect();
                Failure::new(
                    "invalid_column",
                    400,
                    format!(
                        "the table \"{}\" has no column \"{name}\"; it has {}",
                        self.name,
                        all.join(", ")
                    ),
                )
            })
    }

    /// The column of a name, for a method to write. `managed_column_write` for a column that remy
    /// fills in, and, unless the runtime itself writes, for those that users sign in with.
    pub(super) fn writable(&self, name: &str, as_runtime: bool) -> Result<&Column, Failure> {
        let managed = |who: &str| {
            let what = format!(
                "\"{}.{name}\" is written by {who}, and by no method",
                self.name
            );
            Failure::new("managed_column_write", 400, what)
        };
        if is_system(name) {
            return Err(managed("remy itself"));
        }
        if !as_runtime && self.managed.contains(&name.to_ascii_lowercase()) {
            return Err(managed("signing in"));
        }
        self.column(name)
    }
}
