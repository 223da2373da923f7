//! Schemas: the model, where a declared one comes from, how two differ, and what turns one into the
//! other.
//!
//! SQLite is the parser: a declared schema is loaded into an empty in-memory database, and both
//! sides are read back ([`introspect`]). [`diff`](diff::diff) and [`plan`](plan::plan) are pure.

pub(crate) mod absent;
pub mod app;
pub(crate) mod constrain;
pub(crate) mod constraints;
pub(crate) mod cross_check;
pub mod diff;
pub(crate) mod dump;
pub(crate) mod fit;
mod free_names;
pub(crate) mod full_text;
pub mod introspect;
pub(crate) mod logical;
pub(crate) mod meaning;
pub(crate) mod parse;
pub mod plan;
pub mod quoted;
pub(crate) mod rename;
pub(crate) mod rename_comments;
pub(crate) mod render;
pub(crate) mod shadow;
pub(crate) mod spelled;

use crate::sqlite::lex;
pub use logical::Cast;
pub use rename::Rename;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A schema, as read from a database. Serialized, it is the JSON model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Tables, without those of SQLite, of remy, of virtual tables, and without ignored ones.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// Virtual tables.
    #[serde(default)]
    pub virtual_tables: Vec<VirtualTable>,
    /// Indexes that a statement of their own made.
    #[serde(default)]
    pub indexes: Vec<Index>,
    /// Views.
    #[serde(default)]
    pub views: Vec<View>,
    /// Triggers.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// Every name that the database knows, in lower case, with those that the schema leaves out.
    #[serde(skip)]
    pub(crate) names: BTreeSet<String>,
    /// The views and triggers that were found sound, in lower case; none where nobody has looked:
    /// see [`dependents::note`](crate::rehearse::dependents::note).
    #[serde(skip)]
    pub(crate) sound: BTreeSet<String>,
    /// Tables that may belong to a virtual table.
    #[serde(skip)]
    pub(crate) claims: Vec<Claim>,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The statement that makes it.
    pub sql: String,
    /// Its columns, in order, generated ones with them.
    pub columns: Vec<Column>,
    /// Its primary key.
    pub primary_key: Option<Key>,
    /// `AUTOINCREMENT`: ids are not used again.
    pub autoincrement: bool,
    /// Its `UNIQUE` constraints.
    pub uniques: Vec<Key>,
    /// Its `CHECK` constraints.
    pub checks: Vec<Check>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// `WITHOUT ROWID`.
    pub without_rowid: bool,
    /// `STRICT`.
    pub strict: bool,
    /// The statement was not understood beyond what the pragmas tell; it is compared as a whole.
    #[serde(default)]
    pub opaque: bool,
}

/// A column of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as declared; empty where there is none.
    #[serde(rename = "type")]
    pub declared_type: String,
    /// What `NOT NULL` does on a conflict (`abort` unless it says otherwise).
    pub not_null: Option<String>,
    /// Its `DEFAULT`, as written.
    pub default: Option<String>,
    /// Its `COLLATE`.
    pub collate: Option<String>,
    /// What it is computed from.
    pub generated: Option<Generated>,
    /// All of its definition, as written.
    #[serde(skip)]
    pub(crate) definition: String,
    /// How the values that it has are to be converted.
    #[serde(skip)]
    pub(crate) cast: Option<Cast>,
}

/// What a generated column is computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generated {
    /// The expression.
    pub expr: String,
    /// `STORED`, not `VIRTUAL`.
    pub stored: bool,
}

/// A primary key or `UNIQUE` constraint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The constraint's name.
    pub name: Option<String>,
    /// Its columns.
    pub columns: Vec<KeyColumn>,
    /// What it does on a conflict (`abort` unless it says otherwise).
    pub conflict: String,
    /// It stands with its column. Means something for `INTEGER PRIMARY KEY DESC` only, which is no
    /// alias of the rowid.
    pub inline: bool,
}

/// A column of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// The key's own `COLLATE`.
    pub collate: Option<String>,
    /// `DESC`.
    pub descending: bool,
}

/// A `CHECK` constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The constraint's name.
    pub name: Option<String>,
    /// The expression.
    pub expr: String,
    /// The column that it stands with.
    pub column: Option<String>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: Option<String>,
    /// Columns of this table.
    pub columns: Vec<String>,
    /// The table that it refers to.
    pub parent: String,
    /// Columns of that; none for its primary key.
    pub parent_columns: Vec<String>,
    /// What an update of the parent does, in upper case.
    pub on_update: String,
    /// What a delete of the parent does, in upper case.
    pub on_delete: String,
    /// `DEFERRABLE INITIALLY DEFERRED`.
    pub deferred: bool,
    /// It stands with its column.
    pub inline: bool,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its table.
    pub table: String,
    /// The statement that makes it.
    pub sql: String,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Its name.
    pub name: String,
    /// The statement that makes it.
    pub sql: String,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Its table or view.
    pub table: String,
    /// The statement that makes it.
    pub sql: String,
}

/// A virtual table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VirtualTable {
    /// Its name.
    pub name: String,
    /// Its module.
    pub module: String,
    /// The module's arguments, as written.
    pub arguments: String,
    /// Its columns, where the module is known.
    pub columns: Vec<String>,
    /// The statement that makes it.
    pub sql: String,
    /// The tables that its module made with it, by their names in lower case; `None` where the
    /// module is not here.
    #[serde(skip)]
    pub(crate) own: Option<BTreeSet<String>>,
    /// What SQLite says where it cannot be made.
    #[serde(skip)]
    pub(crate) missing: Option<String>,
}

impl VirtualTable {
    /// The columns whose values it keeps: FTS4's language of a row is one that is hidden.
    pub(crate) fn kept(&self) -> Vec<String> {
        let language = self
            .option("languageid")
            .filter(|_| self.module.eq_ignore_ascii_case("fts4"));
        self.columns.iter().cloned().chain(language).collect()
    }

    /// The value of an option among the arguments of a full-text table.
    pub(crate) fn option(&self, option: &str) -> Option<String> {
        let five = self.module.eq_ignore_ascii_case("fts5");
        // FTS3 takes an argument of such a form for a column.
        if !five && !self.module.eq_ignore_ascii_case("fts4") {
            return None;
        }
        let tokens = lex::tokens(&self.arguments);
        // FTS5 knows its options by their beginnings.
        let is = |name: &str| match five {
            true => option.starts_with(&name.to_ascii_lowercase()),
            false => option.eq_ignore_ascii_case(name),
        };
        let at = tokens.windows(2).position(|pair| {
            pair[1].is("=")
                && pair[0]
                    .name()
                    .is_some_and(|name| !name.is_empty() && is(&name))
        })?;
        Some(
            tokens
                .get(at + 2)
                .and_then(lex::Token::name)
                .unwrap_or_default(),
        )
    }
}

impl Table {
    /// The column of this name; SQLite's names do not tell ASCII letters' case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The column that is another name of the rowid.
    pub fn rowid_alias(&self) -> Option<&Column> {
        let [key] = self.primary_key.as_ref()?.columns.as_slice() else {
            return None;
        };
        let quirk = key.descending && self.primary_key.as_ref().is_some_and(|key| key.inline);
        let column = self.column(&key.name)?;
        (!self.without_rowid && !quirk && column.declared_type.eq_ignore_ascii_case("INTEGER"))
            .then_some(column)
    }

    /// A name by which SQL reaches the rowid: none where there is no rowid, or all are columns'
    /// names.
    pub(crate) fn rowid_name(&self) -> Option<&'static str> {
        if self.without_rowid {
            return None;
        }
        ["rowid", "_rowid_", "oid"]
            .into_iter()
            .find(|name| self.column(name).is_none())
    }
}

impl Schema {
    /// Whether it declares nothing.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
            && self.virtual_tables.is_empty()
            && self.views.is_empty()
            && self.triggers.is_empty()
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables
            .iter()
            .find(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// The names of the columns of a table, virtual or not.
    pub(crate) fn columns_of(&self, name: &str) -> Option<Vec<String>> {
        let columns = |table: &Table| {
            table
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect()
        };
        let of_virtual = || {
            self.virtual_tables
                .iter()
                .find(|table| table.name.eq_ignore_ascii_case(name))
        };
        self.table(name)
            .map(columns)
            .or_else(|| of_virtual().map(VirtualTable::kept))
    }

    /// Leaves out the tables that may belong to a virtual table that stays, and that nobody
    /// declares or renames, with their indexes and triggers: they are left alone. Returns what they
    /// were claimed by.
    pub(crate) fn leave_claimed(&mut self, declared: &Schema, renames: &[Rename]) -> Vec<Claim> {
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let told = |name: &str| {
            renames
                .iter()
                .any(|r| r.table.is_none() && same(&r.from, name))
        };
        let stays = |name: &str| {
            told(name)
                || declared
                    .virtual_tables
                    .iter()
                    .any(|table| same(&table.name, name))
        };
        let left: Vec<_> = self
            .claims
            .iter()
            .filter(|claim| {
                stays(&claim.by) && declared.table(&claim.table).is_none() && !told(&claim.table)
            })
            .cloned()
            .collect();
        let is_left = |name: &str| left.iter().any(|claim| same(&claim.table, name));
        self.tables.retain(|table| !is_left(&table.name));
        self.indexes.retain(|index| !is_left(&index.table));
        self.triggers.retain(|trigger| !is_left(&trigger.table));
        left
    }

    /// Reads the JSON model.
    pub fn from_json(json: &str) -> crate::base::error::Result<Self> {
        serde_json::from_str(json).map_err(|e| {
            crate::base::error::Error::schema_invalid(format!(
                "the JSON model of a schema is not understood: {e}"
            ))
            .state(crate::base::error::State::NothingDone)
            .hint("Give what reading a database gives, or declare the schema as SQL")
        })
    }

    /// The statements that make it, in an order in which they can run.
    pub fn to_sql(&self) -> String {
        let tables = self
            .tables
            .iter()
            .map(|t| &t.sql)
            .chain(self.virtual_tables.iter().map(|t| &t.sql));
        let rest = self
            .indexes
            .iter()
            .map(|i| &i.sql)
            .chain(self.views.iter().map(|v| &v.sql));
        let all = tables
            .chain(rest)
            .chain(self.triggers.iter().map(|t| &t.sql));
        // A statement may end in a comment, which a line break ends.
        let ends_in_comment =
            |sql: &str| sql.lines().last().is_some_and(|line| line.contains("--"));
        all.map(|sql| format!("{sql}{};\n", if ends_in_comment(sql) { "\n" } else { "" }))
            .collect()
    }
}

/// A table that may belong to a virtual table, though that does not make it when it is made itself.
/// It stays as it is unless somebody declares it: then it is a table as others are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The table.
    pub table: String,
    /// The virtual table.
    pub by: String,
    /// The module says that a table of this name is its own.
    pub said: bool,
}
